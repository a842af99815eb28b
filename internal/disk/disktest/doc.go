// Package disktest holds file systems for tests of code that writes through
// package disk.
//
//   - Crash keeps everything in memory and knows what is durable. Its Crash
//     method gives the file system that a machine would find after a power cut,
//     CrashTorn one in which some of the rest survived too.
//   - Faulty stands in front of another file system and makes calls fail, do
//     half their work, or only pretend to do it, by rules.
//   - Run is the suite that every disk.Volume passes, so that the models cannot
//     drift from the operating system.
//
// To cut the power at every step of a history, put a Faulty over a Crash and
// call Crash from a rule: rules run before their call and with no lock held.
//
// Everything here may be used from many goroutines, as package disk states.
package disktest
