"""Folders in which the agent of ECS Exec writes.

AWS documents no list of them, and does not support a read-only root file system with ECS Exec, but it works with these
folders (aws/containers-roadmap, issue 1359).
"""

FOLDERS = {
    "exec-agent": "/managed-agents",
    "exec-state": "/var/lib/amazon/ssm",
    "exec-logs": "/var/log/amazon/ssm",
}
