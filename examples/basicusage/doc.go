// Command basicusage is an example: it uses a key backend by itself, as a program
// does that encrypts its own files.
//
//	go run ./examples/basicusage -dir /var/lib/app/keys -master-key-file /etc/app/master.key
//
// It opens a Local keyring, makes a master key, encrypts a small value, makes a data
// key for a large one, rotates, brings what is old to the new version, and shows what
// is refused. Another backend would only be opened in another way: everything else is
// the interfaces of package kms.
package main
