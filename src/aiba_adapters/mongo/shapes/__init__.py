"""What each collection holds: the shapes of its documents, and its indexes."""
