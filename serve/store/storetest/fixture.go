package storetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/serve/store"
)

// Hostile are names as events.AppendEscaped writes them that break what is careless.
var Hostile = []string{
	".", `\000\255.example`, `'; drop table event; --.example`, `"},{"match_all":{}}.example`, `a%b_c.example`,
	`\\.\..example`, `<script>.example`, `*.example`, `?.example`, `-.example`, strings.Repeat(`\001`, 255),
	strings.Repeat("a.", 127) + "a",
}

// Yesterday is a day that each kind keeps in minutes: its start lies 24 to 48 hours before now.
func Yesterday() time.Time { return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1) }

// Fixture are n events with all fields set, always the same, in hours 12 to 15 of yesterday, one a moment, not all in
// order of time. About one in twenty is flagged.
func Fixture(n int) []store.Event {
	random := rand.New(rand.NewPCG(1, 2))
	start := Yesterday().Add(12 * time.Hour)
	step := (3 * time.Hour / time.Duration(n)).Truncate(time.Millisecond)
	out := make([]store.Event, n)
	for i := range out {
		zipf := int(float64(300) * random.Float64() * random.Float64() * random.Float64())
		domain := fmt.Sprintf("d%d.example", zipf)
		out[i] = store.Event{
			Time:      start.Add(time.Duration(i) * step),
			Name:      fmt.Sprintf("h%d.%s", random.IntN(3), domain),
			Domain:    domain,
			Client:    fmt.Sprintf("192.0.2.%d", 1+random.IntN(40)),
			Type:      []events.Type{1, 28, 65, 16}[random.IntN(4)],
			RCode:     []events.RCode{events.NoError, events.NXDomain, events.NoRCode}[random.IntN(3)],
			Transport: events.UDP, Class: "benign", Rule: detect.Score, Score: 0.25, Model: "degas 3", Sample: 1,
		}
		decide(&out[i], random)
	}
	for i, name := range Hostile {
		out[i*n/len(Hostile)].Name = name
		out[i*n/len(Hostile)].Client = name[:min(len(name), 40)]
	}
	for i := 10; i < n; i += 10 {
		out[i], out[i-7] = out[i-7], out[i]
	}
	return out
}

// decide makes some events flagged ones, and some of other verdicts.
func decide(e *store.Event, random *rand.Rand) {
	switch random.IntN(40) {
	case 0:
		e.Verdict, e.Action, e.Class, e.Score, e.Reason = detect.Malicious, detect.Block, "dga", 0.75, "score 0.75"
	case 1:
		e.Verdict, e.Action, e.Class, e.Score = detect.Blocked, detect.Block, "blocked", 0
		e.Rule, e.Entry, e.Reason, e.Model = detect.BlockList, "||"+e.Domain, "on the block list", ""
	case 2:
		e.Verdict, e.Class, e.Score, e.Rule, e.Model = detect.Allowed, "allowed", 0, detect.AllowList, ""
	case 3:
		e.Verdict, e.Class, e.Score, e.Transport = detect.Unscored, "unscored", 0, events.HTTPS
		e.Rule, e.Client = detect.NeverScored, "printer <b>"
	}
}
