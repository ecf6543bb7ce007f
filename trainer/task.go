package trainer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
)

// task reads data and builds what Fit needs. It calls tell before it reads names, which may take long.
func (c *Config) task(ctx context.Context, data *datasets.Manifest, tell func(Beginning)) (_ *Task, err error) {
	begin, err := c.begin()
	if err != nil {
		return nil, err
	}
	c.FromDataset = cmp.Or(c.FromDataset, begin.Dataset)
	c.sources = maps.Clone(data.Split("train").BySource)
	for source, n := range begin.Sources { // what the weights have seen before
		c.sources[source] += n
	}
	engine, err := Engines.Lookup(c.Engine)
	if err != nil {
		return nil, err
	}
	train, err := data.Open(ctx, "train")
	if err != nil {
		return nil, err
	}
	t := &Task{Engine: engine}
	defer func() {
		if _, reads := t.Train.(*Stream); err != nil || !reads {
			train.Close()
		}
	}()
	validation, err := data.Open(ctx, "validation") // now, while it is likely to be there
	if err != nil {
		return nil, err
	}
	defer validation.Close()
	spec, err := c.labelled(ctx, begin, train)
	if err != nil {
		return nil, err
	}
	b, err := c.beginning(spec, data)
	if err != nil {
		return nil, err
	}
	tell(b)
	t.Spec, t.Initial = spec, begin.Weights
	labels := spec.Labels
	choice, err := c.choice(data.Split("train"))
	if err != nil {
		return nil, err
	}
	rows, err := chooseRows(ctx, train, c.Target, labels, choice, blockLen(c.Options.bound()))
	if err != nil {
		return nil, fmt.Errorf("read training names: %w", err)
	}
	if t.Teacher, err = c.teacher(labels); err != nil {
		return nil, err
	}
	if n := rows.only(); n >= 0 {
		return nil, fmt.Errorf("all training names of %s are %s: there is nothing to tell apart. "+
			"Try: degas process-data with more data", c.Data, labels[n])
	}
	return t, c.names(ctx, t, rows, validation)
}

// names are the task's: all in memory if they fit into Options.Memory.
func (c *Config) names(ctx context.Context, t *Task, train *rows, validation *datasets.Split) error {
	choose := func(limit int) (*rows, error) {
		return chooseRows(ctx, validation, c.Target, t.Spec.Labels, Choice{Limit: limit, Seed: c.Options.Seed},
			datasets.BatchRows)
	}
	check, err := choose(0)
	if err != nil {
		return fmt.Errorf("read validation names: %w", err)
	}
	bound := c.Options.bound()
	tooMuch := func() bool { return bound > 0 && train.bytes()+check.scoredBytes() > bound }
	if share := float64(bound/validationShare) / float64(check.scoredBytes()); tooMuch() && share < 1 {
		all, skipped := check.names, check.skipped
		if check, err = choose(max(1, int(share*float64(validation.Rows())))); err != nil {
			return fmt.Errorf("read validation names: %w", err)
		}
		check.skipped = skipped
		slog.Warn("only some validation names are used, drawn by the seed: all of them do not fit into --memory",
			"used", check.names, "of", all, "memory", c.Options.Memory)
	}
	if !tooMuch() {
		t.Train, err = train.set(ctx)
	} else {
		stream := train.stream(bound)
		slog.Warn("training names are read from disk: they do not fit into --memory", "names", train.names,
			"portions", stream.portions, "memory", c.Options.Memory)
		if t.Train = stream; c.Options.Invent+c.Options.Blend > 0 {
			err = train.findSuffixes(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("read training names: %w", err)
	}
	if t.Validation, err = check.set(ctx); err != nil {
		return fmt.Errorf("read validation names: %w", err)
	}
	return nil
}

// choice says which names of the training split are trained on, and how often.
func (c *Config) choice(train *datasets.SplitReport) (Choice, error) {
	o := &c.Options
	out := Choice{Limit: o.Names, Seed: o.Seed, Focus: o.Focus, Repeat: 1}
	if o.Focus == "" {
		return out, nil
	}
	focused := train.BySource[o.Focus]
	if focused == 0 {
		return out, fmt.Errorf("focus %s: no training name of %s is of that source. Sources: %s", o.Focus, c.Data,
			strings.Join(slices.Sorted(maps.Keys(train.BySource)), ", "))
	}
	others := train.Rows - focused
	if o.Names > 0 {
		others = min(others, int64(o.Names))
	}
	wanted := float64(others) * o.FocusShare / (1 - o.FocusShare)
	out.Repeat = max(1, int(math.Round(wanted/float64(focused))))
	return out, nil
}

// labelled is the Spec of begin with a head for the labels that train holds, or that begin has already.
func (c *Config) labelled(ctx context.Context, begin *model.Model, train *datasets.Split) (*model.Spec, error) {
	labels, err := Labels(ctx, train, c.Target)
	if err != nil {
		return nil, err
	}
	spec := begin.Spec
	if c.spec != nil && !slices.Equal(spec.Labels, labels) && !slices.Equal(spec.Labels, model.BinaryLabels) {
		slog.Warn("the Spec's labels are not used: --target decides what the model tells apart",
			"labels", spec.Labels, "target", c.Target)
	}
	if begin.Weights == nil {
		spec = spec.WithLabels(labels)
	} else if slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(spec.Labels, l) }) {
		return nil, fmt.Errorf("the model of %s tells apart %s, the data %s. Try: the --target of that model, or --arch "+
			"for a new one", c.From, strings.Join(spec.Labels, ", "), strings.Join(labels, ", "))
	} // else the data may lack one of the model's: a person's own names hold no tunnel
	return &spec, nil
}

// beginning is what an Observer is told before names are read.
func (c *Config) beginning(spec *model.Spec, data *datasets.Manifest) (Beginning, error) {
	b := Beginning{Arch: c.Arch, Engine: c.Engine, Epochs: c.Options.Epochs, Blend: c.Options.Blend > 0}
	if b.Blend {
		b.Epochs++
	}
	if s := data.Split("train"); s != nil {
		b.Train = int(s.Rows)
	}
	if s := data.Split("validation"); s != nil {
		b.Validation = int(s.Rows)
	}
	if n := c.Options.Names; n > 0 {
		b.Train = min(b.Train, n)
	}
	params, err := spec.Params()
	for _, p := range params {
		b.Parameters += p.Size()
	}
	return b, err
}
