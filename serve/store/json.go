package store

import (
	"time"

	"github.com/degas-dns/degas/detect"
)

// EventJSON is an Event in JSON: that of /v1/events, and of exports.
type EventJSON struct {
	Time      time.Time `json:"time"`
	Name      string    `json:"name"`
	Domain    string    `json:"registered_domain,omitempty"`
	Client    string    `json:"client,omitempty"`
	Type      string    `json:"type,omitempty"`
	RCode     string    `json:"rcode,omitempty"`
	Transport string    `json:"transport,omitempty"`
	Verdict   string    `json:"verdict"`
	Action    string    `json:"action"`
	Rule      string    `json:"rule"`
	// Score is left out where no model was asked.
	Score  *float64 `json:"score,omitempty"`
	Class  string   `json:"class"`
	Reason string   `json:"reason,omitempty"`
	Entry  string   `json:"entry,omitempty"`
	Model  string   `json:"model,omitempty"`
	// Sample says that this event stands for so many.
	Sample int `json:"sample,omitempty"`
}

// Scored reports whether a model was asked, so that Score says something.
func (e *Event) Scored() bool {
	return e.Rule == detect.Score || e.Rule == detect.PopularName || e.Score > 0
}

// JSON is the event as JSON has it. It points to e's score.
func (e *Event) JSON() EventJSON {
	x := EventJSON{Time: e.Time, Name: e.Name, Domain: e.Domain, Client: e.Client, Type: e.Type.String(),
		RCode: e.RCode.String(), Transport: e.Transport.String(), Verdict: e.Verdict.String(), Action: e.Action.String(),
		Rule: e.Rule.String(), Class: e.Class, Reason: e.Reason, Entry: e.Entry, Model: e.Model, Sample: e.Sample}
	if e.Scored() {
		x.Score = &e.Score
	}
	return x
}
