"""`aiba import-legacy`: the plan of an import, its writing, its proof and its report."""
