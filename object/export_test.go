package object

import "time"

// SetPatience sets how long writes of S3 wait for those who watch.
func (s *Store) SetPatience(d time.Duration) { s.watchers.patience = d }
