package search

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

// ecsVersion is the version of the Elastic Common Schema that document follows.
const ecsVersion = "8.17.0"

// timeLayout is how documents have times: in UTC, to the millisecond.
const timeLayout = "2006-01-02T15:04:05.000Z"

// document is an event in the Elastic Common Schema. What the schema has no field for is in degas.
type document struct {
	Time string `json:"@timestamp"`
	ECS  struct {
		Version string `json:"version"`
	} `json:"ecs"`
	Event    eventFields `json:"event"`
	Client   *peer       `json:"client,omitempty"`
	Source   *peer       `json:"source,omitempty"`
	DNS      dnsFields   `json:"dns"`
	Network  network     `json:"network"`
	Observer observer    `json:"observer"`
	Related  related     `json:"related"`
	Rule     *rule       `json:"rule,omitempty"`
	Degas    degasFields `json:"degas"`
	ML       *mlFields   `json:"ml_is_dga,omitempty"`
}

type eventFields struct {
	Kind     string   `json:"kind"`
	Category []string `json:"category"`
	Type     []string `json:"type"`
	Action   string   `json:"action"`
	Dataset  string   `json:"dataset"`
	Sequence int64    `json:"sequence"`
}

type peer struct {
	Address string `json:"address,omitempty"`
	IP      string `json:"ip,omitempty"`
}

type dnsFields struct {
	Type     string   `json:"type"`
	Question question `json:"question"`
	RCode    string   `json:"response_code,omitempty"`
}

type question struct {
	Name   string `json:"name,omitempty"`
	Domain string `json:"registered_domain,omitempty"`
	Type   string `json:"type,omitempty"`
}

type network struct {
	Protocol  string `json:"protocol"`
	Transport string `json:"transport,omitempty"`
}

type observer struct {
	Product string `json:"product"`
	Type    string `json:"type"`
}

type related struct {
	Hosts []string `json:"hosts,omitempty"`
	IP    []string `json:"ip,omitempty"`
}

type rule struct {
	Name string `json:"name"`
}

type degasFields struct {
	Verdict   string  `json:"verdict"`
	Action    string  `json:"action"`
	Rule      string  `json:"rule"`
	Score     float64 `json:"score"`
	Class     string  `json:"class,omitempty"`
	Reason    string  `json:"reason,omitempty"`
	Model     string  `json:"model,omitempty"`
	Transport string  `json:"transport,omitempty"`
	Sample    int     `json:"sample"`
}

// mlFields are those of Elastic's own job that finds generated domains.
type mlFields struct {
	Prediction  int     `json:"malicious_prediction"`
	Probability float64 `json:"malicious_probability"`
}

// Fixed parts of all documents.
var (
	networkCategory = []string{"network"}
	protocolType    = []string{"protocol"}
	deniedType      = []string{"protocol", "denied"}
	segmentProtocol = [...]string{events.UDP: "udp", events.TCP: "tcp", events.TLS: "tcp", events.HTTPS: "tcp",
		events.QUIC: "udp"}
)

// newDocument is the document of a settled event. sequence orders events of one time.
func newDocument(e *store.Event, sequence int64, ml bool) *document {
	d := &document{Time: e.Time.Format(timeLayout)}
	d.ECS.Version = ecsVersion
	d.Event = eventFields{Kind: "event", Category: networkCategory, Type: protocolType, Action: e.Action.String(),
		Dataset: "degas.dns", Sequence: sequence}
	if e.Flagged() {
		d.Event.Kind = "alert"
	}
	if e.Action == detect.Block {
		d.Event.Type = deniedType
	}
	d.DNS = dnsFields{Type: "query", RCode: e.RCode.String(), Question: question{e.Name, e.Domain, e.Type.String()}}
	if e.RCode >= 0 {
		d.DNS.Type = "answer"
	}
	if e.Name != "" {
		d.Related.Hosts = []string{e.Name}
	}
	if e.Client != "" {
		d.Client = &peer{Address: e.Client}
		if ip, err := netip.ParseAddr(e.Client); err == nil && ip.Zone() == "" {
			d.Client.IP = e.Client
			d.Source, d.Related.IP = &peer{IP: e.Client}, []string{e.Client}
		}
	}
	d.Network.Protocol = "dns"
	d.Network.Transport = segmentProtocol[min(int(e.Transport), len(segmentProtocol)-1)]
	d.Observer = observer{"degas", "dns"}
	if e.Entry != "" {
		d.Rule = &rule{e.Entry}
	}
	d.Degas = degasFields{e.Verdict.String(), e.Action.String(), e.Rule.String(), e.Score, e.Class, e.Reason, e.Model,
		e.Transport.String(), e.Sample}
	if ml && e.Model != "" {
		d.ML = &mlFields{Probability: e.Score}
		if e.Verdict == detect.Malicious {
			d.ML.Prediction = 1
		}
	}
	return d
}

// event is the event that the document was made of.
func (d *document) event() (store.Event, error) {
	at, err := time.Parse(timeLayout, d.Time)
	if err != nil {
		return store.Event{}, fmt.Errorf("a document of an event has no time: %w", err)
	}
	e := store.Event{Time: at, Name: d.DNS.Question.Name, Domain: d.DNS.Question.Domain, RCode: events.NoRCode,
		Transport: events.ParseTransport(d.Degas.Transport), Verdict: named(d.Degas.Verdict, detect.Invalid),
		Action: named(d.Degas.Action, detect.Block), Rule: named(d.Degas.Rule, detect.Evidence), Score: d.Degas.Score,
		Class: d.Degas.Class, Reason: d.Degas.Reason, Model: d.Degas.Model, Sample: d.Degas.Sample}
	e.Type, _ = events.ParseType(d.DNS.Question.Type)
	e.RCode = events.ParseRCode(d.DNS.RCode)
	if d.Client != nil {
		e.Client = d.Client.Address
	}
	if d.Rule != nil {
		e.Entry = d.Rule.Name
	}
	return e, nil
}

// named is the value up to last with that name, 0 if there is none.
func named[T interface {
	~uint8
	String() string
}](name string, last T) T {
	for v := T(0); v <= last; v++ {
		if v.String() == name {
			return v
		}
	}
	return 0
}

// countDocument is how often a key was counted within a part of a slot.
type countDocument struct {
	Time string `json:"@timestamp"` // the slot's start
	DNS  struct {
		Question struct {
			Type string `json:"type,omitempty"`
		} `json:"question"`
		RCode string `json:"response_code,omitempty"`
	} `json:"dns"`
	Degas struct {
		Doc      string  `json:"doc"` // "count"
		Part     string  `json:"part"`
		Verdict  string  `json:"verdict"`
		Action   string  `json:"action"`
		Count    int64   `json:"count"`
		ScoreSum float64 `json:"score_sum"`
	} `json:"degas"`
}

// listsDocument has the top lists and the sketches of a part of a slot.
type listsDocument struct {
	Time  string `json:"@timestamp"`
	Degas struct {
		Doc   string `json:"doc"` // "lists"
		Part  string `json:"part"`
		Lists string `json:"lists"` // base64 of tally.Part
	} `json:"degas"`
}

// action is the line before a document in a bulk request.
type action struct {
	Create *place `json:"create,omitempty"` // an event, as addEvent writes it
	Index  *place `json:"index,omitempty"`
}

// place is where a document goes. A document with a Version replaces one with a smaller one, and no other.
type place struct {
	Index       string `json:"_index,omitempty"` // "" is the request's
	ID          string `json:"_id"`
	Version     uint64 `json:"version,omitempty"`
	VersionType string `json:"version_type,omitempty"`
}

// lines collects the lines of bulk requests. What it wrote is valid JSON with one document a line, whatever the texts
// in an event are.
type lines struct {
	bytes.Buffer
	json *json.Encoder
	rows int // events
}

func newLines() *lines {
	l := &lines{}
	l.json = json.NewEncoder(&l.Buffer)
	l.json.SetEscapeHTML(false)
	return l
}

// add writes a document. It fails for numbers that JSON has not, and then leaves nothing behind.
func (l *lines) add(a action, doc any) error {
	before := l.Len()
	err := l.json.Encode(a)
	if err == nil {
		err = l.json.Encode(doc)
	}
	if err != nil {
		l.Truncate(before)
	}
	return err
}

// addEvent writes an event. The same id, of eventID, is never written twice, so that a replay doubles nothing.
func (l *lines) addEvent(e *store.Event, id string, sequence int64, ml bool) error {
	before := l.Len()
	l.WriteString(`{"create":{"_id":"`) // by hand: the encoder would take a third of the time that an event takes
	l.WriteString(id)
	l.WriteString("\"}}\n")
	if err := l.json.Encode(newDocument(e, sequence, ml)); err != nil {
		l.Truncate(before)
		return err
	}
	l.rows++
	return nil
}

// addCount writes the count of a key so far.
func (l *lines) addCount(p *part, k tally.CountKey, s tally.Sum, version uint64) error {
	c := k.Count(s)
	var d countDocument
	d.Time = c.Slot.Format(timeLayout)
	d.DNS.Question.Type, d.DNS.RCode = c.Type.String(), c.RCode.String()
	d.Degas.Doc, d.Degas.Part, d.Degas.Count, d.Degas.ScoreSum = "count", p.id, c.N, c.ScoreSum
	d.Degas.Verdict, d.Degas.Action = c.Verdict.String(), c.Action.String()
	id := fmt.Sprintf("%s-%d.%d.%d.%d", p.id, k.Verdict, k.Action, k.Type, k.RCode)
	return l.add(action{Index: p.place(id, version)}, d)
}

// addLists writes the lists so far.
func (l *lines) addLists(p *part, lists *tally.Part, version uint64) error {
	raw, err := lists.AppendBinary(nil)
	if err != nil {
		return err
	}
	var d listsDocument
	d.Time = p.slot.Format(timeLayout)
	d.Degas.Doc, d.Degas.Part, d.Degas.Lists = "lists", p.id, base64.StdEncoding.EncodeToString(raw)
	return l.add(action{Index: p.place(p.id+"-lists", version)}, d)
}

// eventID is the id of the event that has a sequence number within a run of degas.
func eventID(boot string, sequence int64) string { return boot + "-" + strconv.FormatInt(sequence, 36) }
