// Package datasets holds the nouns of labelled data, and the files of a finished data set.
//
// A [Record] is one labelled name: its [Class], the malware family or tunnel tool, the data set it comes from and the
// [Day] it was seen. A finished data set is a folder of dataset.json, the [Manifest], and the splits train, validation
// and test. A split is one Arrow file or several, its shards. [Open] verifies a split and streams its rows;
// [SplitWriter] writes a file.
//
// How such a folder comes about is told by the packages below this one: datasets/sources says where data come from and
// fetches them, datasets/formats reads the files, and datasets/prepare cleans the records and splits them.
package datasets

import (
	"fmt"
	"slices"
	"strings"
)

// Class is what a name is. The numbers are stable: they are the codes of the Arrow dictionary and of the models'
// labels.
type Class uint8

// The classes, in the order of the Arrow dictionary.
const (
	Benign Class = iota
	DGA
	Tunnel

	// NumClasses is the number of classes.
	NumClasses = 3
)

var classNames = [NumClasses]string{"benign", "dga", "tunnel"}

// ClassNames lists the classes' names; index = Class.
func ClassNames() []string { return slices.Clone(classNames[:]) }

// String is the class's name, or class(n) for a number outside the list.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Label is what a model's target, "binary", "class" or "family", calls a name of class c. family is "" if nobody gave
// one: such a malicious name has its class for a label.
func (c Class) Label(target, family string) string {
	switch {
	case c == Benign:
	case target == "binary":
		return "malicious"
	case target == "family" && family != "":
		return family
	}
	return c.String()
}

// ParseClass reads a name that String gives, in any case. An unknown name's error lists the known ones.
func ParseClass(s string) (Class, error) {
	for i, n := range classNames {
		if strings.EqualFold(strings.TrimSpace(s), n) {
			return Class(i), nil
		}
	}
	return 0, fmt.Errorf("datasets: unknown class %q, known are: %s", s, strings.Join(classNames[:], ", "))
}

// Record is one labelled name as a reader found it.
type Record struct {
	// Name is the name as the file spells it; datasets/prepare normalises it. A reader's Name may share the reader's
	// buffer: it is valid only until the call it is passed to returns.
	Name  string
	Class Class
	// Weak marks a label that any other label of the same name overrides: a blocklist says that a name is bad, not
	// that an algorithm made it.
	Weak bool
	// Family is the malware family or the tunnel tool, "" when there is none (benign) or it is not known.
	Family string
	// Source is the data set that the record comes from. A reader leaves it "" unless the file names it.
	Source string
	// Day is the first day on which the name was seen or valid, 0 if the source has no dates.
	Day Day
}

// BlocklistFamily is the family of names that a blocklist calls malicious without saying why. They are of class DGA
// because no class fits better (the mlbridge project trained on them as malicious), their labels are Weak, and the
// family name lets an evaluation report them apart or hold them out.
const BlocklistFamily = "blocklist"

// SplitID is the part of a data set that a row belongs to. The order matters: if the rows of one registered domain
// disagree, the whole domain goes to the larger one. A held-out row must never reach training; losing a training row
// does no harm.
type SplitID uint8

// The splits.
const (
	TrainSplit SplitID = iota
	ValidationSplit
	TestSplit

	// NumSplits is the number of splits.
	NumSplits = 3
)

var splitNames = [NumSplits]string{"train", "validation", "test"}

// String is the split's name.
func (s SplitID) String() string { return splitNames[s] }

// File is the name of the split's file in a data set's folder, if the split is not in shards.
func (s SplitID) File() string { return s.String() + ".arrow" }

// FileNames lists the files of a data set whose splits are in so many shards, ManifestName last. 0 means no shards: one
// file a split.
func FileNames(shards int) (names []string) {
	for id := range SplitID(NumSplits) {
		if shards == 0 {
			names = append(names, id.File())
		}
		for k := range shards {
			names = append(names, id.ShardFile(k, shards))
		}
	}
	return append(names, ManifestName)
}

// SplitNames lists the splits' names; index = SplitID.
func SplitNames() []string { return slices.Clone(splitNames[:]) }
