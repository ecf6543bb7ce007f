package main

import (
	"slices"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/sources"
	"github.com/degas-dns/degas/evaluate/protocol"
	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// choice is what a field may be: one of known, or what has the pattern more.
type choice struct {
	known []string
	more  string
}

// values are the choices of fields, by type and field.
var values = func() map[string]choice {
	split := choice{known: []string{"validation", "train"}}
	engine := choice{known: append([]string{trainer.EngineAuto}, trainer.Engines.Names()...)}
	target := choice{known: trainer.Targets}
	return map[string]choice{
		"DownloadConfig.Sources": {sourceNames(), "://"},
		"ProcessConfig.Split": {known: []string{datasets.SplitByDomain, datasets.SplitRandom, datasets.SplitByFamily,
			datasets.SplitBySource, datasets.SplitByDate}},
		"ProcessConfig.Balance":     {known: []string{"", datasets.BalanceBinary, datasets.BalanceClass}},
		"TrainConfig.Arch":          {slices.Concat([]string{trainer.Auto}, model.Presets()), `\.json$`},
		"TrainConfig.Target":        target,
		"TrainConfig.Engine":        engine,
		"ProtocolConfig.Kinds":      {known: protocol.Names()},
		"CalibrateConfig.Split":     split,
		"ThresholdConfig.Split":     split,
		"ExportConfig.Formats":      {known: formatNames()},
		"Config.Target":             target, // of a search
		"Config.Engine":             engine,
		"Options.Optimizer":         {known: []string{trainer.OptimizerAdam, trainer.OptimizerRMSProp}},
		"Options.Schedule":          {known: []string{trainer.SchedulePlateau, trainer.ScheduleCosine}},
		"Options.ClassWeight":       {known: []string{trainer.WeightNone, trainer.WeightBalanced, trainer.WeightFamily}},
		"Options.Precision":         {known: []string{trainer.PrecisionFP32, trainer.PrecisionTF32, trainer.PrecisionBF16}},
		"Encoder.PadSide":           {known: []string{model.Left, model.Right}},
		"Encoder.Keep":              {known: []string{model.First, model.Last}},
		"Layer.Kind":                {known: model.Kinds},
		"Layer.Padding":             {known: []string{model.Valid, model.Same}},
		"Layer.Activation":          {known: []string{model.Linear, model.ReLU, model.Tanh, model.Sigmoid, model.Softmax}},
		"Layer.RecurrentActivation": {known: []string{model.Sigmoid, model.Clip}},
	}
}()

func sourceNames() (out []string) {
	for _, s := range sources.All() {
		out = append(out, s.Name)
	}
	return out
}

func formatNames() (out []string) {
	for _, f := range export.Formats() {
		out = append(out, f.Name)
	}
	return out
}
