package reply

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// Unreadable maps the error of reading a body of JSON to 413, 408, 400, or to the Failure that it is. Only a parse
// error is told in detail.
func Unreadable(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if f := ofBytes(err); f != nil {
		return f
	}
	if errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || strings.HasPrefix(err.Error(), "json: unknown field") {
		return BadRequest("JSON Parse error: %s", strings.ReplaceAll(err.Error(), "Go value of type ", ""))
	}
	return BodyFailure(err, "The request's body could not be read")
}

// BodyFailure maps the error of reading a body's bytes to 413, 408, to the Failure that it is, or to 400 with text.
func BodyFailure(err error, text string) *Failure {
	if f := ofBytes(err); f != nil {
		return f
	}
	return &Failure{Status: http.StatusBadRequest, Text: text, Cause: err}
}

// ofBytes is the Failure of an error that has nothing to do with what the bytes mean, nil for another.
func ofBytes(err error) *Failure {
	var tooLarge *http.MaxBytesError
	var failure *Failure
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &tooLarge):
		text := fmt.Sprintf("The request's body has more than %d bytes", tooLarge.Limit)
		return &Failure{Status: http.StatusRequestEntityTooLarge, Text: text}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Failure{Status: http.StatusRequestTimeout, Text: "The request's body took too long", Cause: err}
	}
	return nil
}

// Body is a request's body, unpacked if it is packed with gzip. Reading more than limit bytes of either is an
// *http.MaxBytesError.
func Body(w http.ResponseWriter, r *http.Request, limit int64) (io.Reader, error) {
	body := http.MaxBytesReader(w, r.Body, limit)
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
	default:
		text := "The body's Content-Encoding is not known. Try: gzip, or none"
		return nil, &Failure{Status: http.StatusUnsupportedMediaType, Text: text}
	}
	unpacked, err := gzip.NewReader(body)
	if err != nil {
		return nil, unpacking(err)
	}
	return &bounded{unpacked, limit, limit}, nil
}

// bounded reads at most left bytes of what is unpacked.
type bounded struct {
	from        io.Reader
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, &http.MaxBytesError{Limit: b.limit}
	}
	if err != nil && err != io.EOF {
		err = unpacking(err)
	}
	return n, err
}

// unpacking is the Failure for an error of gzip, or of the body below it.
func unpacking(err error) error { return BodyFailure(err, "The body is not good gzip") }
