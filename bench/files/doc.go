// Package files measures directories side by side: mounts of encrypted file systems, and the disk beneath them.
//
// Run takes a Plan that names sides, and has each of them do the same workloads, in rounds. Within a round the sides take
// turns at every workload, another one first in each, so that the noise of the machine falls on all of them alike. A
// workload finds what those before it have left: reading reads what writing wrote. The Report has a median for each row
// and side, and for each side how it stands to the first one, as the median over the rounds.
//
// Times are those of one caller who waits for every call. What a call promises differs between sides; so rows that write
// come in kinds: without fsync, where each side gives what it gives at close; with fsync; and with a sync of the disk
// behind all of it, after which every side has kept everything.
//
// The package starts and mounts nothing. A side tells how its caches are emptied, and how its disk is synced. It runs the
// programs tar and git. A Plan is read only during Run.
package files
