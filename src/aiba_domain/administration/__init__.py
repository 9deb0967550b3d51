"""Administration: who may administer the service, and the audit trail of what they did."""
