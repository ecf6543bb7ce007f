// Package synth makes labelled DNS names out of nothing but its arguments: names of domain-generation
// algorithms (DGA) that malware is known to use, names as DNS tunnels put them on the wire, and ordinary
// names. It needs no network and no file, so it is what degas trains on when nothing else is at hand.
//
// Each DGA is written here anew from its published analysis and reproduces the published example output
// name by name; the table in families_test.go records the seed and the date behind every example list.
//
// Same arguments, same names, on every machine and in every release: nothing here reads a clock or a
// random source, and a change to a generator that alters its output is a breaking change.
package synth
