package prepare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
)

// Survey says how Run would read what is in the folder in, and what it would skip.
func Survey(ctx context.Context, in string) (_ []formats.Reading, _ []datasets.Skipped, err error) {
	temp, err := os.MkdirTemp("", "degas-survey-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	inputs, skipped, err := formats.Discover(ctx, in, temp)
	if err != nil {
		return nil, nil, fmt.Errorf("look at %s: %w", in, err)
	}
	defer formats.Close(inputs)
	if len(inputs) == 0 {
		return nil, nil, nothingRecognised(in, skipped)
	}
	readings, err := survey(ctx, inputs, temp)
	return readings, skipped, err
}

func survey(ctx context.Context, inputs []*formats.Input, temp string) (readings []formats.Reading, err error) {
	for _, in := range inputs {
		r, err := in.Survey(ctx, temp)
		if err != nil {
			return nil, err
		}
		readings = append(readings, r)
	}
	return readings, nil
}

// announce tells how the inputs will be read, and refuses what is not certain if o is strict.
func announce(ctx context.Context, inputs []*formats.Input, temp string, o Options) error {
	if o.Announce == nil && !o.Strict {
		return nil
	}
	readings, err := survey(ctx, inputs, temp)
	if err != nil {
		return err
	}
	if o.Announce != nil {
		o.Announce(readings)
	}
	return Doubts(readings, o.Strict)
}

// Doubts is an error if an input cannot be read, or, if strict, if its labels are a guess.
func Doubts(readings []formats.Reading, strict bool) error {
	var guesses []string
	for _, r := range readings {
		if r.Error != "" {
			return fmt.Errorf("read %s: %s", r.Path, r.Error)
		}
		if r.Guess != "" {
			guesses = append(guesses, r.Path+": "+r.Guess)
		}
	}
	if !strict || len(guesses) == 0 {
		return nil
	}
	more := ""
	if n := len(guesses) - 10; n > 0 {
		more, guesses = fmt.Sprintf("; and %d more", n), guesses[:10]
	}
	return fmt.Errorf("not certain (--strict): %s%s. To settle a file: degas describe FILE",
		strings.Join(guesses, "; "), more)
}
