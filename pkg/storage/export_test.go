package storage

// CompactAt is Compact with a watcher of its steps.
func CompactAt(path string, at func(step string)) (Result, error) {
	return compaction{path: path, at: at}.run(false)
}
