// Package reply turns what a handler returns into an HTTP answer in JSON. A handler returns a value or an error. A
// client sees the text of a [Failure], and the log sees its cause. Any other error is an "internal error" to the
// client.
package reply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/degas-dns/degas/internal/printable"
)

// Failure is an error that a client is told about.
type Failure struct {
	Status int           // of the answer
	Text   string        // for the client, cut off after a thousand bytes, since it may quote the request
	Cause  error         // for the log; nil if Text says it all
	Retry  time.Duration // after which the client may try again; 0 is not said
}

func (f *Failure) Error() string { return f.Text }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// BadRequest is a Failure with status 400.
func BadRequest(format string, args ...any) error {
	return &Failure{Status: http.StatusBadRequest, Text: fmt.Sprintf(format, args...)}
}

// Busy is a Failure with status 429: the client may try again in a second.
func Busy(text string) error {
	return &Failure{Status: http.StatusTooManyRequests, Text: text, Retry: time.Second}
}

// Error is the body of an answer to a request that failed.
type Error struct {
	Error string `json:"error"`
}

// StatusClientClosed is the status that logs give a request whose client went away, as nginx does.
const StatusClientClosed = 499

// maxText bounds the text of an error.
const maxText = 1000

// Writer writes answers.
type Writer struct {
	// Log receives failures; nil discards them. Mistakes of clients are for debugging: a line for each would fill a log.
	Log *slog.Logger
	// Timeout is the time for a client to read its answer. 0 is a minute.
	Timeout time.Duration
	// Indent is what a level of JSON is indented by. "" writes one line.
	Indent string
}

// Failed answers with err, unless the client went away. It returns the status, for counting. A context whose deadline
// has passed is status 504.
func (o *Writer) Failed(w http.ResponseWriter, r *http.Request, err error) (status int) {
	f := &Failure{Status: http.StatusInternalServerError, Text: "internal error", Cause: err}
	switch errors.As(err, &f); {
	case errors.Is(err, context.DeadlineExceeded):
		f = &Failure{Status: http.StatusGatewayTimeout, Text: "The request took too long", Cause: err}
	case errors.Is(r.Context().Err(), context.Canceled) && f.Status != http.StatusRequestTimeout: // which cancels it too
		f = &Failure{Status: StatusClientClosed, Text: f.Text, Cause: err}
	case f.Cause == nil:
		f = &Failure{f.Status, f.Text, err, f.Retry}
	}
	o.log(r, f)
	if f.Status == StatusClientClosed {
		return f.Status
	}
	if f.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.Retry.Seconds()))))
	}
	data, _ := o.marshal(Error{f.Text[:min(len(f.Text), maxText)]}) // a string cannot fail
	o.Bytes(w, f.Status, "application/json", data)
	return f.Status
}

// JSON answers with value and status 200. A value that JSON cannot hold is a failure.
func (o *Writer) JSON(w http.ResponseWriter, r *http.Request, value any) (status int) {
	data, err := o.marshal(value)
	if err != nil {
		return o.Failed(w, r, err)
	}
	o.Bytes(w, http.StatusOK, "application/json", data)
	return http.StatusOK
}

// marshal is value as JSON, with a line's end.
func (o *Writer) marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", o.Indent)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return printable.JSON(b.Bytes()), nil
}

// Bytes answers with data. Without the deadline a client that does not read would keep the memory.
func (o *Writer) Bytes(w http.ResponseWriter, status int, kind string, data []byte) {
	timeout := o.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	// A writer without deadlines is a test's.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout))
	_, _ = w.Write(data) // nobody is left to tell
}

func (o *Writer) log(r *http.Request, f *Failure) {
	if o.Log == nil {
		return
	}
	level := slog.LevelDebug
	if f.Status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	o.Log.Log(r.Context(), level, "request failed",
		"method", r.Method, "path", r.URL.Path, "status", f.Status, "cause", f.Cause)
}
