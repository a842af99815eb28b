// Command record runs the fixed set of measurements and writes a page of what it
// found below bench/results: the machine, every command, its output, and how the
// figures stand to the lines that they are held against.
//
//	go run ./bench/record --name first
//
// It runs at the root of the repository, needs bin/coffer and fio, and starts the
// server itself, on a free port, with data and keys in a directory that it
// removes. Everything durable is measured on one file system: that of --dir. The
// measurements of mounts need root, who alone can empty the kernel's caches, and
// gocryptfs, which they are held against:
//
//	apt-get install gocryptfs git
//	go run ./bench/record --name mount --only mount
//
// The page says what ran. A measurement that failed is on it as failed, a line
// without its measurement as not measured, and an existing page is never
// replaced. It exits with 1 if a measurement failed; a missed line is a result.
package main
