package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// hostilePackets lies beside the project on some machines: 9,774 messages that broke, or tried to break, servers.
const hostilePackets = "../../../../shared/data/hostile/dns-fuzzing.tar.gz"

// mostUDP is the longest message that a packet over IPv4 holds.
const mostUDP = 65507

func readPackets(t *testing.T) (packets [][]byte) {
	t.Helper()
	f, err := os.Open(hostilePackets)
	if err != nil {
		t.Skip("no hostile packets: ", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return packets
		}
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg && strings.HasSuffix(h.Name, ".pkt") && len(raw) > 1 && len(raw) <= mostUDP {
			packets = append(packets, raw)
		}
	}
}

// batch is how many packets are sent before the server has to show that it is alive. CoreDNS takes 128 over a
// connection.
const batch = 100

// TestHostilePackets sends each packet twice to a server with a front and to one without, and once over TCP. All
// servers live on, answer a packet at most once and under its ID, answer no answer, and give the same answers.
func TestHostilePackets(t *testing.T) {
	packets := readPackets(t)
	if testing.Short() {
		packets = packets[:1000]
	}
	fast, plain := pair(t, "--action", "nxdomain")
	var all [3][][]byte
	var working sync.WaitGroup
	for i, at := range []struct {
		network, server string
		times           int
	}{{"udp", fast, 2}, {"udp", plain, 2}, {"tcp", plain, 1}} {
		working.Go(func() {
			for from := 0; from < len(packets) && !t.Failed(); from += batch {
				some := packets[from:min(from+batch, len(packets))]
				var answers [][]byte
				var err error
				for range at.times {
					if answers, err = exchange(at.network, at.server, some); err != nil {
						t.Errorf("%s, packets from %d: %v", at.network, from, err)
						return
					}
				}
				all[i] = append(all[i], answers...)
			}
		})
	}
	working.Wait()
	if t.Failed() {
		return
	}
	answered := 0
	for i, p := range packets {
		if all[0][i] != nil {
			answered++
		}
		// What is truncated over UDP is not over TCP, and a packet may be longer than what is read over UDP.
		compared := [][2][]byte{{all[0][i], all[1][i]}, {all[0][i], all[2][i]}}
		if a := all[0][i]; len(p) > dns.MinMsgSize || len(a) > 2 && a[2]&2 != 0 {
			compared = compared[:1]
		}
		for k, c := range compared {
			why := sameAnswer(c[0], c[1], 60)
			if why != "" {
				// A packet that an answer was lost for, on a machine that is busy.
				again := [2][]byte{askAlone("udp", fast, p), askAlone([]string{"udp", "tcp"}[k], plain, p)}
				why = sameAnswer(again[0], again[1], 60)
			}
			if why != "" {
				t.Errorf("packet %d, %x: answers with and without a front, or over UDP and TCP, differ (%d): %s", i, p, k, why)
			}
		}
	}
	t.Logf("%d of %d packets were answered", answered, len(packets))
	if answered < len(packets)/4 {
		t.Errorf("%d of %d packets were answered", answered, len(packets))
	}
}

// askAlone waits for the answer to one packet.
func askAlone(network, server string, packet []byte) []byte {
	conn, err := net.Dial(network, server)
	if err != nil {
		return nil
	}
	defer conn.Close()
	raw := slices.Clone(packet)
	binary.BigEndian.PutUint16(raw, 1)
	if _, err := conn.Write(framed(network, raw)); err != nil {
		return nil
	}
	return receive(conn, time.Second)
}

// framed is a message as it is written.
func framed(network string, raw []byte) []byte {
	if network != "tcp" {
		return raw
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...)
}

// alive is the ID of a query that has to be answered.
const alive = 1000

// exchange sends packets, with their places as IDs, and a query that is in order. It gives the answers to each, nil for
// none, when the query is answered and no more answers come.
func exchange(network, server string, packets [][]byte) ([][]byte, error) {
	conn, err := net.Dial(network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	probe := new(dns.Msg)
	probe.SetQuestion(passedName, dns.TypeA)
	probe.Id = alive
	last, err := probe.Pack()
	if err != nil {
		return nil, err
	}
	write := func(id int, p []byte) error {
		raw := slices.Clone(p)
		binary.BigEndian.PutUint16(raw, uint16(id))
		_, err := conn.Write(framed(network, raw))
		return err
	}
	for i, p := range packets {
		if err := write(i, p); err != nil {
			return nil, fmt.Errorf("write: %w", err)
		}
	}
	answers := make([][]byte, len(packets))
	living := false
	for tries := 0; ; {
		if !living && tries < 3 {
			tries++
			if err := write(alive, last); err != nil {
				return nil, fmt.Errorf("write: %w", err)
			}
		}
		for {
			// Over TCP one query is answered after the other, over UDP they are not.
			wait := 40 * time.Millisecond
			if !living {
				wait = 3 * time.Second
			}
			answer := receive(conn, wait)
			if answer == nil {
				break
			}
			id := int(binary.BigEndian.Uint16(answer))
			switch {
			case id == alive:
				living = true
				if network == "tcp" {
					return answers, nil
				}
				continue
			case id >= len(packets):
				return nil, fmt.Errorf("an answer with the ID %d", id)
			case answers[id] != nil:
				return nil, fmt.Errorf("two answers to %x", packets[id])
			case packets[id][2]&0x80 != 0:
				return nil, fmt.Errorf("an answer to the answer %x", packets[id])
			case len(answer) < 12 || answer[2]&0x80 == 0 || (&dns.Msg{}).Unpack(answer) != nil:
				return nil, fmt.Errorf("answer %x to %x cannot be read", answer, packets[id])
			}
			answers[id] = answer
		}
		if living {
			return answers, nil
		}
		if tries == 3 {
			return nil, errors.New("no answer to a query that is in order")
		}
	}
}
