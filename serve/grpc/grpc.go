// Package grpc answers calls of gRPC that have one message and one answer, over the HTTP/2 of net/http. So they pass
// the same limits, tokens and metrics as other requests, on the same port, and cost no dependency. The protocol is
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. There are no streams, and no reflection.
//
// Without TLS, a server speaks HTTP/2 only if http.Server.Protocols has SetUnencryptedHTTP2.
package grpc

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// Method answers a message. memory has been charged for the message. An error is told as package reply tells it.
type Method func(ctx context.Context, message []byte, memory *models.Lease) ([]byte, error)

// Handler is an http.Handler. It is safe for concurrent use.
type Handler struct {
	// Models bound the memory.
	Models *models.Set
	// Log receives failures; nil discards them.
	Log *slog.Logger
	// Methods are those that can be called, by path: "/tensorflow.serving.PredictionService/Predict".
	Methods map[string]Method
}

// Code is a canonical code (google.rpc.Code).
type Code int

// Codes that answers have.
const (
	OK                Code = 0
	Cancelled         Code = 1
	InvalidArgument   Code = 3
	DeadlineExceeded  Code = 4
	NotFound          Code = 5
	PermissionDenied  Code = 7
	ResourceExhausted Code = 8
	Aborted           Code = 10
	Unimplemented     Code = 12
	Internal          Code = 13
	Unavailable       Code = 14
	Unauthenticated   Code = 16
)

const (
	contentType = "application/grpc"
	statusKey   = "Grpc-Status"
	answerTime  = time.Minute // for a client to read its answer
	frameHeader = 5           // bytes: whether the message is compressed, and its length
	maxText     = 1000        // bytes of an error's text
)

// CodeOf is the code for a status of HTTP.
func CodeOf(status int) Code {
	switch status {
	case http.StatusOK:
		return OK
	case http.StatusBadRequest:
		return InvalidArgument
	case http.StatusUnauthorized:
		return Unauthenticated
	case http.StatusForbidden:
		return PermissionDenied
	case http.StatusNotFound:
		return NotFound
	case http.StatusConflict:
		return Aborted
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return ResourceExhausted
	case reply.StatusClientClosed:
		return Cancelled
	case http.StatusNotImplemented:
		return Unimplemented
	case http.StatusServiceUnavailable:
		return Unavailable
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return DeadlineExceeded
	}
	return Internal
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), contentType) {
		http.Error(w, "This path answers gRPC alone", http.StatusUnsupportedMediaType)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Grpc-Accept-Encoding", "identity, gzip")
	memory := h.Models.Lease()
	defer memory.Release() // after the answer is written
	ctx, cancel, err := withTimeout(r)
	defer cancel()
	var answer []byte
	if err == nil {
		answer, err = h.call(ctx, w, r, memory)
	}
	// A writer without deadlines is a test's.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	if err != nil {
		h.failed(ctx, w, r, err)
		return
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(answer)))
	_, _ = w.Write(frame) // nobody is left to tell
	_, _ = w.Write(answer)
	w.Header().Set(http.TrailerPrefix+statusKey, "0")
}

func (h *Handler) call(
	ctx context.Context, w http.ResponseWriter, r *http.Request, memory *models.Lease,
) ([]byte, error) {
	method := h.Methods[r.URL.Path]
	if method == nil {
		return nil, &reply.Failure{Status: http.StatusNotImplemented, Text: "There is no method " + r.URL.Path}
	}
	message, err := readMessage(w, r, memory)
	if err != nil {
		return nil, err
	}
	return method(ctx, message, memory)
}

// failed answers with a code and a text, without a message.
func (h *Handler) failed(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	f := &reply.Failure{Status: http.StatusInternalServerError, Text: "internal error"}
	switch told := errors.As(err, &f); {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		f = &reply.Failure{Status: http.StatusGatewayTimeout, Text: "The request took too long"}
	case errors.Is(ctx.Err(), context.Canceled):
		f = &reply.Failure{Status: reply.StatusClientClosed, Text: "The request was cancelled"}
	case !told && h.Log != nil:
		h.Log.ErrorContext(ctx, "request failed", "path", r.URL.Path, "cause", err)
	}
	if h.Log != nil {
		h.Log.DebugContext(ctx, "request failed", "path", r.URL.Path, "status", f.Status, "cause", err)
	}
	w.Header().Set(statusKey, strconv.Itoa(int(CodeOf(f.Status))))
	w.Header().Set("Grpc-Message", escaped(f.Text[:min(len(f.Text), maxText)]))
}

// escaped is a text as Grpc-Message has it: percent-encoded where it is no printable ASCII.
func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// withTimeout is the request's context with the end that the client wishes. cancel is never nil.
func withTimeout(r *http.Request) (ctx context.Context, cancel context.CancelFunc, err error) {
	text := r.Header.Get("Grpc-Timeout")
	if text == "" {
		return r.Context(), func() {}, nil
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond,
		'u': time.Microsecond, 'n': time.Nanosecond}
	unit, known := units[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !known || err != nil || len(text) > 9 {
		return r.Context(), func() {}, reply.BadRequest("grpc-timeout %q is none", text)
	}
	ctx, cancel = context.WithTimeout(r.Context(), time.Duration(min(n, uint64(math.MaxInt64/unit)))*unit)
	return ctx, cancel, nil
}

// readMessage reads the one message of a call.
func readMessage(w http.ResponseWriter, r *http.Request, memory *models.Lease) ([]byte, error) {
	body := http.MaxBytesReader(w, r.Body, models.MaxBody)
	header := make([]byte, frameHeader)
	if _, err := io.ReadFull(body, header); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, reply.BadRequest("The message is cut off")
	} else if err != nil {
		return nil, reply.Unreadable(err)
	}
	size := int64(binary.BigEndian.Uint32(header[1:]))
	var message io.Reader = io.LimitReader(body, size)
	if header[0] != 0 {
		if r.Header.Get("Grpc-Encoding") != "gzip" {
			text := "Messages may be packed with gzip, or not at all"
			return nil, &reply.Failure{Status: http.StatusNotImplemented, Text: text}
		}
		unpacked, err := gzip.NewReader(message)
		if err != nil {
			return nil, reply.BadRequest("The message is not good gzip")
		}
		message = http.MaxBytesReader(w, io.NopCloser(unpacked), models.MaxBody)
	}
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(memory.Charged(message)); err != nil {
		return nil, reply.Unreadable(err)
	}
	if header[0] == 0 && int64(buf.Len()) != size {
		return nil, reply.BadRequest("The message has %d bytes, its header says %d", buf.Len(), size)
	}
	return buf.Bytes(), nil
}
