package degas

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/cache"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
)

// parseOld reads the blocks of the plugins that degas takes over from: dnstun (netrack) and mlplugin, with its later
// name mlbridge. The latter takes nothing at all, and reports what it finds. dnstun blocks tunnels.
func parseOld(directive string, c *caddy.Controller) ([]settings, error) {
	var all []settings
	for c.Next() {
		s := usual()
		s.zones = plugin.OriginsFromArgsOrServerBlock(nil, c.ServerBlockKeys)
		if directive != "dnstun" {
			if c.NextArg() || c.NextBlock() {
				return nil, c.ArgErr()
			}
			log.Warningf("%s is degas now, and asks no server on port 5000. Names that it finds are reported, not "+
				"blocked. Try: degas { action dga nxdomain }", directive)
			all = append(all, s)
			continue
		}
		s.actions[tunnel] = action{does: refused}
		s.cache = 1 << 12 // of lists; scores have a cache of their own
		var runtime, detector string
		reverse := false
		for c.NextBlock() {
			word, args := c.Val(), c.RemainingArgs()
			if len(args) != 1 {
				return nil, c.ArgErr()
			}
			switch {
			case word == "runtime":
				runtime = args[0]
			case word == "detector":
				detector = args[0]
			case word == "model":
				s.model = args[0]
			case word == "mapping" && (args[0] == "forward" || args[0] == "reverse"):
				reverse = args[0] == "reverse"
			default:
				return nil, c.Errf("unknown property %q or value %q", word, args[0])
			}
		}
		if runtime == "" && detector == "" {
			all = append(all, s)
			continue
		}
		var err error
		if s.remote, err = newRemote(runtime, detector, reverse); err != nil {
			return nil, c.Err(err.Error())
		}
		log.Warning("dnstun: the second output counts as the tunnel's, as its README said; its code took the first. " +
			"Try: mapping reverse, if tunnels pass and other names are refused")
		all = append(all, s)
	}
	return all, nil
}

// remote is a model of dnstun that a TensorFlow Serving answers for. It remembers scores.
type remote struct {
	url     string
	reverse bool
	client  *http.Client
	seed    maphash.Seed
	scores  *cache.Cache[float64]
}

func newRemote(runtime, detector string, reverse bool) (*remote, error) {
	if _, _, err := net.SplitHostPort(runtime); err != nil {
		return nil, fmt.Errorf("runtime %q: must be HOST:PORT", runtime)
	}
	model, version, ok := strings.Cut(detector, ":")
	if !ok || model == "" || version == "" {
		return nil, fmt.Errorf("detector %q: must be MODEL:VERSION", detector)
	}
	return &remote{fmt.Sprintf("http://%s/v1/models/%s/versions/%s:predict", runtime, model, version), reverse,
		&http.Client{Timeout: 2 * time.Second}, maphash.MakeSeed(), cache.New[float64](1 << 16)}, nil
}

// tunnelAlphabet are the letters that dnstun's models know, in the order of their codes from 1. Its '-' stands there
// twice, and the second one wins.
const tunnelAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{}"

// tunnelWidth is how many letters a model of dnstun sees.
const tunnelWidth = 256

// tunnelCodes writes a name as dnstun's models read it: with a final dot, in lower case, backwards.
func tunnelCodes(name []byte) []int {
	codes := make([]int, tunnelWidth)
	text := append(events.AppendLower(nil, name), '.')
	text = text[:min(len(text), tunnelWidth)]
	for i, c := range text {
		codes[len(text)-1-i] = strings.LastIndexByte(tunnelAlphabet, c) + 1
	}
	return codes
}

// decide asks the server, unless it has said already.
func (r *remote) decide(ctx context.Context, name []byte) (detect.Decision, error) {
	key := maphash.Bytes(r.seed, events.AppendLower(nil, name))
	score, ok := r.scores.Get(key)
	if !ok {
		var err error
		if score, err = r.ask(ctx, name); err != nil {
			return detect.Decision{}, fmt.Errorf("ask %s: %w", r.url, err)
		}
		r.scores.Add(key, score)
	}
	d := detect.Decision{Rule: detect.Score, Score: score, Tunnel: score, Class: detect.Benign.String(),
		Reason: "scored by another machine"}
	if score > .5 {
		d.Verdict, d.Action, d.Class = detect.Malicious, detect.Block, kindNames[tunnel]
	}
	return d, nil
}

// mostAnswer bounds an answer of the server.
const mostAnswer = 1 << 16

func (r *remote) ask(ctx context.Context, name []byte) (float64, error) {
	body, err := json.Marshal(map[string][][]int{"instances": {tunnelCodes(name)}})
	if err != nil {
		return 0, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	q.Header.Set("Content-Type", "application/json")
	answer, err := r.client.Do(q)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	if err != nil {
		return 0, err
	}
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("it answers %s", answer.Status)
	}
	var said struct{ Predictions [][]float64 }
	if err := json.Unmarshal(text, &said); err != nil || len(said.Predictions) != 1 || len(said.Predictions[0]) != 2 {
		return 0, fmt.Errorf("its answer is no pair of probabilities")
	}
	if r.reverse {
		return said.Predictions[0][0], nil
	}
	return said.Predictions[0][1], nil
}
