package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// mixed are queries of many kinds: types, cases of letters, sizes and flags of EDNS, names that pass, are blocked, have
// no records or do not exist, and answers that are too long. Some come often, others once.
func mixed(t testing.TB, random *rand.Rand, n int) (queries [][]byte) {
	t.Helper()
	names := []string{blockedName, "cdn." + blockedName, "listed.example.", passedName, "."}
	for i := range 60 {
		names = append(names, fmt.Sprintf("host%d.example.org.", i), fmt.Sprintf("nx%d.example.net.", i),
			fmt.Sprintf("nodata%d.example.net.", i))
	}
	names = append(names, "middle.example.org.", "long.example.org.", "short.example.org.", "short.example.net.")
	types := []uint16{dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeHTTPS, dns.TypeCNAME,
		dns.TypeSOA, dns.TypePTR, dns.TypeDS, dns.TypeANY, 1000}
	sizes := []uint16{0, 512, 1232, 4096, 65535}
	// A pool, so that many queries are the same but for their ID.
	var pool [][]byte
	for range max(n/10, 1) {
		name := names[random.IntN(len(names))]
		if random.IntN(3) == 0 {
			name = strings.Map(func(r rune) rune {
				if random.IntN(2) == 0 && r >= 'a' && r <= 'z' {
					return r - 'a' + 'A'
				}
				return r
			}, name)
		}
		pool = append(pool, packed(t, name, types[random.IntN(len(types))], func(r *dns.Msg) {
			r.RecursionDesired = random.IntN(8) > 0
			r.CheckingDisabled = random.IntN(8) == 0
			r.AuthenticatedData = random.IntN(8) == 0
			if random.IntN(3) > 0 {
				edns(0, sizes[random.IntN(len(sizes))], uint16(random.IntN(2))<<15)(r)
			}
		}))
	}
	for range n {
		// A squared number is small more often than not: some queries come hundreds of times.
		at := random.Float64()
		queries = append(queries, pool[int(at*at*float64(len(pool)))])
	}
	return queries
}

// TestSameAnswers asks servers with and without a front the same queries, from several sockets each. They answer the
// same, but for a second in a TTL.
func TestSameAnswers(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	list := filepath.Join(t.TempDir(), "block")
	if err := os.WriteFile(list, []byte("listed.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fast, plain := pair(t, "--action", "nxdomain", "--block", list)
	queries := mixed(t, rand.New(rand.NewPCG(1, 2)), n)
	const sockets = 8
	var working sync.WaitGroup
	var failures atomic.Int64
	var rcodes [16]atomic.Int64
	start := time.Now()
	for k := range sockets {
		a, b := dial(t, "udp", fast), dial(t, "udp", plain)
		working.Go(func() {
			for i := k; i < n && failures.Load() < 10; i += sockets {
				x, y, why := askBoth(a, b, queries[i], uint16(i))
				if why != "" { // a second may have passed between the two
					x, y, why = askBoth(a, b, queries[i], uint16(i)+1)
				}
				if why != "" {
					failures.Add(1)
					t.Errorf("query %d, %x: answers with and without a front differ: %s\n%x\n%x", i, queries[i], why, x, y)
					continue
				}
				rcodes[x[3]&0xf].Add(1)
			}
		})
	}
	working.Wait()
	t.Logf("%d queries in %v; NOERROR %d, NXDOMAIN %d", n, time.Since(start), rcodes[0].Load(), rcodes[3].Load())
	if rcodes[0].Load() < int64(n/10) || rcodes[3].Load() < int64(n/10) {
		t.Error("the queries are not mixed")
	}
}

// askBoth asks two servers the same, and says how their answers differ.
func askBoth(a, b net.Conn, query []byte, id uint16) (x, y []byte, why string) {
	raw := slices.Clone(query)
	binary.BigEndian.PutUint16(raw, id)
	x, y = askID(a, raw), askID(b, raw)
	if x == nil || y == nil {
		return x, y, "no answer"
	}
	slack := uint32(1)
	if strings.Contains(strings.ToLower(string(query)), "\x05short") { // may have been fetched anew by one of them
		slack = 5
	}
	return x, y, sameAnswer(x, y, slack)
}

// askID asks until the answer with the query's ID comes.
func askID(conn net.Conn, raw []byte) []byte {
	for range 3 {
		if _, err := conn.Write(raw); err != nil {
			return nil
		}
		for {
			answer := receive(conn, 5*time.Second)
			if answer == nil {
				break
			}
			if len(answer) >= 12 && answer[0] == raw[0] && answer[1] == raw[1] {
				return answer
			}
		}
	}
	return nil
}

// TestCountsDown holds that a kept answer's TTL becomes less, and that an answer is not kept for longer than it lives.
func TestCountsDown(t *testing.T) {
	fast, _ := pair(t)
	first := ask(t, "udp", fast, "short.example.org.", dns.TypeA).Answer[0].Header().Ttl
	deadline := time.Now().Add(10 * time.Second)
	for less, again := false, false; !less || !again; {
		ttl := ask(t, "udp", fast, "short.example.org.", dns.TypeA).Answer[0].Header().Ttl
		if ttl > first {
			t.Fatalf("TTL %d after %d", ttl, first)
		}
		again = again || less && ttl == first
		less = less || ttl < first
		if time.Now().After(deadline) {
			t.Fatalf("TTL %d; it became less: %v, and was fetched again: %v", ttl, less, again)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
