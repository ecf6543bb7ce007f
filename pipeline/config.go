package pipeline

import (
	"github.com/degas-dns/degas/trainer"
)

//go:generate go run ./gen

// Config is a pipeline as written in configs/*.yaml. A stage whose section is missing does not run. Paths are relative
// to the working directory, as on the command line.
//
// The comments of the fields are the reference: docs/reference/config.md and the schemas for editors are made of them
// (go generate ./pipeline), so each says what its key means to somebody who writes YAML.
type Config struct {
	// Version is 1.
	Version int `yaml:"version"`
	// Name is the pipeline's: the default name of its run and model, and that of its state file, .degas/NAME.json.
	Name string `yaml:"name"`
	// Download is the stage download-data.
	Download *DownloadConfig `yaml:"download"`
	// Process is the stage process-data.
	Process *ProcessConfig `yaml:"process"`
	// Train is the stage train-model.
	Train *TrainConfig `yaml:"train"`
	// Protocol is evaluate-model --protocol: the run's recipe trained again without part of the data.
	Protocol *ProtocolConfig `yaml:"protocol"`
	// Calibrate makes the run's scores probabilities, before the threshold is set. `calibrate: {}` has all defaults.
	Calibrate *CalibrateConfig `yaml:"calibrate"`
	// Threshold is the stage choose-threshold. One of its keys fpr, worst_source, value and of is given.
	Threshold *ThresholdConfig `yaml:"threshold"`
	// Evaluate is the stage evaluate-model. `evaluate: {}` has all defaults.
	Evaluate *EvaluateConfig `yaml:"evaluate"`
	// Compare measures the run beside other models.
	Compare *CompareConfig `yaml:"compare"`
	// Gate ends the pipeline, before anything is exported or published, if the model is not good enough.
	Gate *GateConfig `yaml:"gate"`
	// Export is the stage export-model.
	Export *ExportConfig `yaml:"export"`
	// Publish is the stage publish-model.
	Publish *PublishConfig `yaml:"publish"`
}

// DownloadConfig is the download-data stage.
type DownloadConfig struct {
	// Sources are names that `degas download-data --list` shows, or http, https and file URLs. console:URL is what people
	// decided in a degas serve, which is asked each time, with the token in DEGAS_PUBLISH_TOKEN. console:FILE is a CSV
	// that one wrote. Left out, it is the built-in sample.
	Sources []string `yaml:"sources" json:"sources"`
	// From is a folder to take files from instead of the network.
	From string `yaml:"from" json:"from"`
	// To is the folder for the files (data/raw).
	To string `yaml:"to" json:"to"`
}

// ProcessConfig is the process-data stage.
type ProcessConfig struct {
	// In is a file or folder of lists (what download wrote, or data/raw).
	In string `yaml:"in" json:"in"`
	// Out is the folder for the data set (data/processed).
	Out string `yaml:"out" json:"out"`
	// Seed draws the splits (1).
	Seed uint64 `yaml:"seed" json:"seed"`
	// Validation is the share of names for validation (0.1).
	Validation float64 `yaml:"validation" json:"validation"`
	// Test is the share of names for the test split (0.1).
	Test float64 `yaml:"test" json:"test"`
	// Split is how names are dealt out: by domain, random, family, source or date, as process-data --split (domain).
	Split string `yaml:"split" json:"split"`
	// Holdout are families that only the test split gets.
	Holdout []string `yaml:"holdout_families" json:"holdout_families"`
	// Exclude are sources that are left out.
	Exclude []string `yaml:"exclude" json:"exclude,omitempty"`
	// TrainOnly are sources whose registered domains no other split gets, such as generated names.
	TrainOnly []string `yaml:"train_only" json:"train_only,omitempty"`
	// MaxBad is the share of refused rows above which a file is given up (0.01).
	MaxBad float64 `yaml:"max_bad" json:"max_bad"`
	// Balance evens out the training names: binary between benign and malicious, class between all classes.
	Balance string `yaml:"balance" json:"balance,omitempty"`
	// CapFamily is the most training names of a family; 0 takes all.
	CapFamily int64 `yaml:"cap_family" json:"cap_family,omitempty"`
	// Shards is the number of files a split is written as; 0 writes one.
	Shards int `yaml:"shards" json:"shards,omitempty"`
}

// TrainConfig is the train-model stage. Options has the defaults of train-model.
type TrainConfig struct {
	// Data is the folder or URL of a data set (what process wrote, or data/processed).
	Data string `yaml:"data" json:"data"`
	// Run is the run's folder (runs/NAME).
	Run string `yaml:"run" json:"run"`
	// From is the model to start from: a run, a version folder of export-model, or builtin. Its architecture and labels
	// stay, and with them the target.
	From string `yaml:"from" json:"from,omitempty"`
	// Arch is a preset, auto for the best known one with a recipe of its own, or a Spec file that ends in .json (auto).
	Arch string `yaml:"arch" json:"arch"`
	// Target is what to tell apart: binary, class or family (binary, or that of from).
	Target string `yaml:"target" json:"target"`
	// Engine does the arithmetic: auto takes a GPU where there is one that this degas can use (auto).
	Engine string `yaml:"engine" json:"engine"`
	// Options are the recipe. What is left out has train-model's value for the architecture.
	Options trainer.Options `yaml:"options" json:"options"`
}

// ProtocolConfig is evaluate-model --protocol.
type ProtocolConfig struct {
	// Run is the run whose recipe is trained (that of train).
	Run string `yaml:"run" json:"run"`
	// Data is the folder or URL of a data set (what process wrote, or the run's own).
	Data string `yaml:"data" json:"data"`
	// Kinds are the protocols, one after another.
	Kinds []string `yaml:"kinds" json:"kinds"`
	// Folds is the most trainings of a protocol; 0 is one for each family or source, and five for kfold.
	Folds int `yaml:"folds" json:"folds"`
	// Epochs bounds the epochs of each training; 0 takes the run's own.
	Epochs int `yaml:"epochs" json:"epochs"`
	// Names bounds the names of each split that are used; 0 uses all.
	Names int `yaml:"names" json:"names"`
}

// CalibrateConfig is the calibrate stage.
type CalibrateConfig struct {
	// Run is the run to calibrate (that of train).
	Run string `yaml:"run" json:"run"`
	// Data is the folder or URL of a data set (what process wrote, or the run's own).
	Data string `yaml:"data" json:"data"`
	// Split is what the temperature is fitted on: validation or train (validation).
	Split string `yaml:"split" json:"split"`
}

// ThresholdConfig is the choose-threshold stage. One of the keys fpr, worst_source, value and of is given.
type ThresholdConfig struct {
	// Run is the run that gets the threshold (that of train).
	Run string `yaml:"run" json:"run"`
	// Data is the folder or URL of a data set (what process wrote, or the run's own).
	Data string `yaml:"data" json:"data"`
	// Split is what the threshold is chosen on: validation or train (validation).
	Split string `yaml:"split" json:"split"`
	// FPR is the most false alarms for a benign name of the split, such as 0.001.
	FPR float64 `yaml:"fpr" json:"fpr,omitempty"`
	// WorstSource chooses the rate for one false alarm in 1,000 names of the benign source that the protocol
	// leave-benign-out found worst, as choose-threshold --worst-source.
	WorstSource bool `yaml:"worst_source" json:"worst_source,omitempty"`
	// Value is the threshold itself, above 0 and below 1.
	Value float64 `yaml:"value" json:"value,omitempty"`
	// Of is a model whose threshold is taken: a run, a version folder or builtin. A model that was trained from another
	// one, with it as its teacher, scores names much as that one does.
	Of string `yaml:"of" json:"of,omitempty"`
}

// EvaluateConfig is the evaluate-model stage.
type EvaluateConfig struct {
	// Run is the run to measure (that of train), or builtin.
	Run string `yaml:"run" json:"run"`
	// Data is the folder or URL of a data set (what process wrote or train reads, or data/processed).
	Data string `yaml:"data" json:"data"`
	// Out is the folder for the report (RUN/evaluation).
	Out string `yaml:"out" json:"out"`
}

// CompareConfig is the compare stage: all models on the test split of one data set.
type CompareConfig struct {
	// Run is the run that the others are compared with (that of train).
	Run string `yaml:"run" json:"run"`
	// With are the others: runs, version folders of export-model, or builtin (builtin).
	With []string `yaml:"with" json:"with"`
	// Data is the folder or URL of a data set (what process wrote or train reads, or data/processed).
	Data string `yaml:"data" json:"data"`
	// Out is the folder for compare.json and roc.png (RUN/comparison).
	Out string `yaml:"out" json:"out"`
	// FailIf are conditions on what the run has more than one of the others: auc<-0.001 says that its area is more than
	// 0.001 smaller, fpr>0.0005 that it has more false alarms. If one holds, degas ends with status 1 before anything is
	// exported or published. The metrics are those of gate's fail_if: auc, tpr@fpr=1e-2, tpr@fpr=1e-3, tpr@fpr=1e-4, and
	// recall and fpr at each one's own threshold.
	FailIf []string `yaml:"fail_if" json:"-"`
}

// GateConfig is evaluate-model --fail-if.
type GateConfig struct {
	// FailIf are conditions on what evaluate measured, such as auc<0.99 or tpr@fpr=1e-3<0.9. If one holds, degas ends with
	// status 1. The metrics: auc and pr-auc are the areas under the ROC and the precision-recall curve. accuracy,
	// precision, recall (the share of malicious names found), fpr (the share of benign names that are false alarms), f1
	// and mcc are at the model's own threshold. macro-f1 and weighted-f1 are means over labels. tpr@fpr=1e-2, tpr@fpr=1e-3
	// and tpr@fpr=1e-4 are the recall at the threshold that gives that rate of false alarms. names is how many were
	// measured.
	FailIf []string `yaml:"fail_if" json:"fail_if"`
}

// ExportConfig is the export-model stage.
type ExportConfig struct {
	// Run is the run whose model is exported (that of train), or builtin.
	Run string `yaml:"run" json:"run"`
	// To is the version folder (models/NAME/1).
	To string `yaml:"to" json:"to"`
	// Formats are names that `degas export-model --format list` shows (hdf5, savedmodel and onnx).
	Formats []string `yaml:"formats" json:"formats"`
}

// PublishConfig is the publish-model stage. A token comes from the environment, DEGAS_PUBLISH_TOKEN.
type PublishConfig struct {
	// From is the version folder to publish (what export wrote).
	From string `yaml:"from" json:"from"`
	// To is a folder or file URL of a TensorFlow Serving store, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, an http or https
	// URL, devo+https://HOST/PATH, or mlflow+https://HOST.
	To string `yaml:"to" json:"to"`
	// Model is the model's name there (that of the folder above the version).
	Model string `yaml:"model" json:"model"`
	// Version is the number there (the version folder's).
	Version int `yaml:"version" json:"version"`
	// Keep is how many versions a store keeps; 0 keeps all.
	Keep int `yaml:"keep" json:"keep"`
	// Shadow publishes a candidate: to MODEL/shadow of a store, with the number after the highest there and above. It
	// decides nothing until somebody promotes it. A store that has these files already gets nothing.
	Shadow bool `yaml:"shadow" json:"shadow,omitempty"`
	// Replace allows to replace that version, if it is there already with another content.
	Replace bool `yaml:"replace" json:"replace"`
}
