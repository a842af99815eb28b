// Package docs runs the commands that the pages of docs/ show, and compares what
// they answer with what the pages say.
//
// Each page is one test: go test ./test/docs -run 'TestPages/vault'. Its blocks run
// from the top to the bottom in one bash, so variables, functions and background
// processes of a block are there in the next. The working directory is empty at
// first, and HOME.
//
// # What runs
//
//   - A block ```console is a dialogue: a line that begins with "$ " is a command, lines
//     that begin with "> " go on with it, and what follows is what it prints, to standard
//     output and standard error together. With nothing below it, a command may print
//     what it likes.
//   - A block ```sh run is a script that must succeed. One that is only ```sh is not run.
//   - A block with file=NAME, such as ```yaml file=coffer.yaml, is written to that file,
//     with mode 0600.
//   - A comment <!-- run … --> is a script that the reader does not see, for what a machine
//     needs and a reader does not, such as to wait.
//
// Every command must end with status 0; those of a block ```console fails must not.
//
// In shown output, "…" stands for anything within a line, and a line that holds nothing
// else for any number of lines. Runs of spaces count as one, and as none at either end
// of a line.
//
// # What a page has
//
// A comment at the top of a page says what is started for it:
//
//		<!-- needs: vault -->
//		<!-- needs: server --some-flag value -->
//
//	  - server is coffer serve, as a process of its own, with the arguments added. Its URL is
//	    in $URL, its credentials are in $ACCESS_KEY and $SECRET_KEY, and the commands of
//	    coffer find both in the variables that they have for it.
//	  - vault is a real Vault in memory: $VAULT_ADDR, $VAULT_TOKEN (root) and
//	    $VAULT_UNSEAL_KEY (base 16). With --tls it speaks HTTPS under an authority of its
//	    own, whose certificate is the file $VAULT_CACERT.
//	  - kubernetes is a stub of a cluster, $CLUSTER, that knows the service account coffer in
//	    the namespace storage, whose token is the file $JWT_FILE.
//
// A page that starts a server by itself needs none of it. On the PATH there are coffer,
// as built from this tree, and what the machine has: bash, curl, jq, openssl.
//
// Pages name 127.0.0.1:9000 and 127.0.0.1:8200; the runner puts the real addresses in
// their place, in commands and files, and back again in what is printed. Any
// other 127.0.0.1:9xxx becomes a free address, the same one throughout a page.
//
// # Concurrency and ownership
//
// Pages run in parallel and share nothing. What a page leaves running in the
// background is ended with its shell.
package docs
