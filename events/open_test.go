package events

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

type oneTime struct{ at time.Time }

func (o oneTime) Next(e *Event) error {
	*e = Event{Time: o.at}
	return nil
}

// A time that JSON or Parquet cannot hold must not cost a report: it is not known.
func TestTimesThatNobodyMeans(t *testing.T) {
	for year, known := range map[int]bool{-5: false, 1: false, 1699: false, 1700: true, 1970: true, 2261: true,
		2262: false, 9999: false, 300_000: false} {
		var e Event
		f := File{reader: oneTime{time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)}}
		if err := f.Next(&e); err != nil || e.Time.IsZero() == known {
			t.Errorf("%d: %v, %v", year, e.Time, err)
		}
	}
	if f := (File{reader: atEnd{}}); f.Next(&Event{}) != io.EOF {
		t.Error("the error is lost")
	}
}

// Of a file that is damaged, its format is not the trouble.
func TestCutOff(t *testing.T) {
	_, err := NewFile(io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF)), "", Options{})
	if err == nil || !strings.Contains(err.Error(), "the file is cut off") {
		t.Error(err)
	}
}

type atEnd struct{}

func (atEnd) Next(*Event) error { return io.EOF }
