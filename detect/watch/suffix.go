package watch

// suffixes finds the names that a client makes of another with its search list: it asks for X, and within two seconds
// for X.corp.example. They say nothing about corp.example.
type suffixes struct {
	recent [mostRecent]question
	seen   map[uint64]uint8 // hash of a suffix: pairs, up to enoughPairs
}

// question is a name that a client asked for lately.
type question struct {
	hash   uint64 // of client and name
	second int64
}

const (
	mostRecent   = 1 << 12
	mostSuffixes = 1 << 10
	enoughPairs  = 3
	pairSeconds  = 2
)

// expansion reports whether a name is another name of the client with a suffix that was seen often enough.
func (s *suffixes) expansion(n *facts, asker uint64, second int64) bool {
	found := false
	for _, cut := range n.cuts[:n.n] {
		hash := mix(asker, cut.before)
		q := s.recent[hash%mostRecent]
		if q.hash != hash || second-q.second > pairSeconds || second < q.second {
			continue
		}
		if s.seen == nil || len(s.seen) == mostSuffixes {
			s.seen = map[uint64]uint8{}
		}
		if s.seen[cut.behind] >= enoughPairs {
			found = true
			break
		}
		s.seen[cut.behind]++
	}
	// A name that is no evidence must not excuse another one that carries the same data.
	if n.evident || !n.long {
		hash := mix(asker, n.hash)
		s.recent[hash%mostRecent] = question{hash, second}
	}
	return found
}
