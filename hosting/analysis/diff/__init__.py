"""Predicts the effect of changed templates or parameters on an environment, without calls to AWS.

compare                differences of two documents, property by property
replacement            properties that CloudFormation cannot update in place, from the providers' schemas
prediction             two resolved environments: added, replaced, modified and deleted resources
permission_widening    permissions that exist only after a change: pure functions on documents
permissions            the same over two resolved environments
prediction_comparison  a prediction compared with a change set
"""
