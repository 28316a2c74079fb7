"""Why a deployment failed: the first real failure, the chain that led to it, its cause and what to do.

`signatures/` is the catalogue, a table of texts that AWS answers with; `catalogue` looks in it; `rootcause` reads
the events of an operation. Nothing here calls AWS.
"""
