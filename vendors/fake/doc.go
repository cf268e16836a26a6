// Package fake behaves like the push vendors on the wire, including their
// failures: each server checks requests as strictly as its vendor's documents
// say, keeps what a device would show, and fails in the ways a script asks for.
// It shares no code with the clients it tests, so that a mistake made in one is
// seen by the other. It is for tests, demos and users' own integration tests;
// it keeps everything in bounded memory and trusts whoever can reach it.
package fake
