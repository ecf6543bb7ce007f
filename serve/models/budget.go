package models

import (
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"

	"github.com/degas-dns/degas/serve/reply"
)

// Memory bounds, in bytes, what all requests in work may take together. A request counts from its first byte until its
// answer is written. One that finds the memory taken gets status 429.
//
// Small requests, those that take at most smallRequest, have smallMemory to themselves, so that large ones cannot keep
// them out.
const (
	Memory       = largeMemory + smallMemory
	largeMemory  = 1 << 30
	smallMemory  = 128 << 20
	smallRequest = 2 << 20
)

// What a request takes, in bytes. TestServeUnderLoad in cmd/degas compares it with what a server takes.
const (
	perByte = 8   // of the body: it is buffered, cut into rows and decoded
	perRow  = 512 // without the label and the probabilities
	// A label may be escaped, and each text lies in buffers of up to four times its size.
	perLabelByte, perProbability = 4 * 6, 4 * 16
)

// budget is what is left of Memory.
type budget struct{ small, large *semaphore.Weighted }

func newBudget() budget {
	return budget{semaphore.NewWeighted(smallMemory), semaphore.NewWeighted(largeMemory)}
}

// Lease is the memory that one request has taken. Release it.
type Lease struct {
	budget
	from *semaphore.Weighted // the part that held comes from
	held int64
}

// Lease begins a request.
func (s *Set) Lease() *Lease { return &Lease{budget: s.memory, from: s.memory.small} }

// Take takes n more bytes. Its error is a reply.Failure.
func (l *Lease) Take(n int64) error {
	want := l.held + n
	if want > largeMemory {
		text := fmt.Sprintf("The request would take more than %d bytes of memory: send fewer rows at once", largeMemory)
		return &reply.Failure{Status: http.StatusRequestEntityTooLarge, Text: text}
	}
	if l.from == l.small && want > smallRequest {
		l.Release()
		l.from, n = l.large, want
	}
	if !l.from.TryAcquire(n) {
		return reply.Busy("Too many requests are in work: try again")
	}
	l.held += n
	return nil
}

// Release gives back all that was taken.
func (l *Lease) Release() {
	l.from.Release(l.held)
	l.held = 0
}

// Charged is body, whose bytes take memory as they are read.
func (l *Lease) Charged(body io.Reader) io.Reader { return charged{body, l} }

type charged struct {
	body io.Reader
	*Lease
}

func (c charged) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if full := c.Take(int64(n) * perByte); full != nil {
		return 0, full
	}
	return n, err
}

// CostOfRow is what a row of v's answer takes, in bytes.
func (v *Version) CostOfRow() int64 {
	longest := 0
	labels := v.Classifier.Model().Spec.Labels
	for _, l := range labels {
		longest = max(longest, len(l))
	}
	return int64(perRow + perLabelByte*longest + perProbability*len(labels))
}
