// Package synth makes labelled DNS names out of nothing but its arguments: names of domain-generation
// algorithms (DGA) that malware is known to use, names as DNS tunnels put them on the wire, and ordinary
// names. It needs no network and no file, so it is what degas trains on when nothing else is at hand.
//
// Each DGA is written here anew after its published analysis and reproduces the published example output
// name by name; the table in published_test.go records the seed and the date behind every example list.
// Steps and constants were looked up in the collections that go with the analyses, foremost Johannes
// Bader's domain_generation_algorithms, then 360 Netlab's DGA and pchaigno's dga-collection; dmsniff was
// worked out from its lists. Family.Reference names where a family is described, not where code is from:
// none was taken over.
//
// A new family is one file that registers itself and a row in that table; the tests refuse a DGA, or a
// variant of one, that the table does not hold.
//
// Tunnel names imitate what the tools' clients send: headers, counters and codecs follow the protocols,
// the traffic inside is made up, and so are the zones. A classifier that does well on them has learned
// the tools' shapes, which is less than knowing the tools.
//
// Ordinary names are made from some 4,900 real registered domains and from shapes of machine-made names
// that are easily taken for either of the other classes.
//
// Same arguments, same names, on every machine and in every release: nothing here reads a clock or a
// random source, and a change to a generator that alters its output is a breaking change.
package synth
