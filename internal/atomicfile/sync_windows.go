package atomicfile

// syncPath does nothing: Windows has no way to sync a directory, and WriteFunc has synced the files.
func syncPath(string) error { return nil }
