// Package datasets owns the file of labelled names: it recognises what publishers hand out, cleans it, splits it and
// writes Arrow, and it streams the splits back.
//
// Adding a format is one file that implements Reader and calls RegisterReader in its init.
package datasets

import (
	"fmt"
	"strings"
)

// Class is what a name is. The numbers are stable: they are the codes of the Arrow dictionary and of the models' labels.
type Class uint8

// The classes, in the order of the Arrow dictionary.
const (
	Benign Class = iota
	DGA
	Tunnel

	classCount = 3
)

var classNames = [classCount]string{"benign", "dga", "tunnel"}

// ClassNames lists the classes' names; index = Class.
func ClassNames() []string { return append([]string(nil), classNames[:]...) }

// String is the class's name, or class(n) for a number outside the list.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
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
	// Name is as the file has it; Process normalises it. A reader's Name may share the reader's buffer: it is valid
	// only until the call it is passed to returns.
	Name  string
	Class Class
	// Weak marks a label that any other label of the same name overrides: a blocklist says that a name is bad, not
	// that an algorithm made it.
	Weak bool
	// Family is the malware family or the tunnel tool, "" when there is none (benign) or it is not known.
	Family string
	// Source is the data set; "" stands for the file's own, see FileInfo.
	Source string
	// Day is when the name was seen or valid first, 0 where the source has no dates.
	Day Day
}

// BlocklistFamily is the family of names that a blocklist calls malicious without saying why. They are of class DGA
// because no class fits better (the mlbridge project trained on them as malicious), their labels are Weak, and the
// family name lets an evaluation report them apart or hold them out.
const BlocklistFamily = "blocklist"
