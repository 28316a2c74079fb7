"""What a change of templates or parameters would do to an environment, told without AWS.

compare       two documents, property by property
replacement   which properties CloudFormation cannot change in place, from the providers' schemas
prediction    two resolved environments: what is added, replaced, modified, deleted, and what only follows
broadening    what somebody may do afterwards who might not before: pure functions on documents
access        the same over two resolved environments
accuracy      a prediction held against a change set
"""
