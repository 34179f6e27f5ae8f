package nsenter

import (
	"strings"
	"testing"
)

func TestHostView(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line string
		want bool
	}{
		{"pod", true},
		{"pod --help", true},
		{"pod -h", true},
		{"pod --version", true},
		{"pod -v", true},
		{"pod help", true},
		{"pod help run", true},
		{"pod --log-level debug help", true},
		{"pod completion bash", true},
		{"pod --root /x boot enable", true},
		{"pod doctor --fix", true},
		{"pod --root /x image scp app host::", true},
		{"pod image ls", false},
		{"pod image", false},
		{"pod --root /x doctor", true},
		{"pod __probe overlay /x", true},
		{"pod __complete run -", true},
		{"pod __completeNoDesc ps", true},
		{"pod --root help", true},          // help is a value, no command follows
		{"pod --root help ps", false},      // likewise, and a command follows
		{"pod --root=/x ps", false},        // value in the same word
		{"pod --root=/x help", true},       // the same before help
		{"pod --syslog help", true},        // a flag without a value
		{"pod -D ps", false},               // the same, short
		{"pod -c help ps", false},          // short with a value
		{"pod -- help", true},              // end of flags
		{"pod -- ps", false},               // end of flags
		{"pod --", true},                   // nothing behind it
		{"pod ps --help", false},           // joining is harmless
		{"pod version", false},             // shows the engine's facts
		{"pod run help", false},            // help is an image
		{"pod helper", false},              // not a prefix match
		{"pod - help", false},              // a lone dash is a word
		{"pod unshare", false},             //
		{"pod __cleanup /run/x id", false}, //
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			if got := hostView(strings.Fields(tt.line)); got != tt.want {
				t.Errorf("hostView = %v, want %v", got, tt.want)
			}
		})
	}
	if !hostView(nil) {
		t.Error("an empty command line wants a namespace")
	}
	if hostView([]string{"pod", "", "help"}) {
		t.Error("an empty word is skipped")
	}
}

func TestHot(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line string
		want bool
	}{
		{"pod run --rm alpine true", true},
		{"pod create alpine", true},
		{"pod exec c true", true},
		{"pod inspect c", true},
		{"pod kill c", true},
		{"pod ps", true},
		{"pod rm -f c", true},
		{"pod start c", true},
		{"pod stop c", true},
		{"pod version", true},
		{"pod wait c", true},
		{"pod container run alpine", true},
		{"pod container ls", true},
		{"pod container list", true},
		{"pod container cleanup c", true},
		{"pod --root /x --log-level=debug -D run alpine", true},
		{"pod -- run alpine", true},
		{"pod run --help", true}, // -h has a value here: quick knows
		{"pod __cleanup /run/x/lock container cleanup id", true},
		{"pod __cleanup /run/x/lock --root /x container cleanup id", true},
		{"pod __cleanup /run/x/lock container checkpoint id", false},
		{"pod __cleanup run", false},
		{"pod", false},
		{"pod --help run", false},
		{"pod -v run", false},
		{"pod --root run", false}, // a value
		{"pod --root run images", false},
		{"pod cleanup c", false},
		{"pod ls", false},
		{"pod image ls", false},
		{"pod image inspect i", false},
		{"pod container", false},
		{"pod container version", false},
		{"pod container container ls", false},
		{"pod container prune", false},
		{"pod runs", false},
		{"pod ru", false},
		{"pod build -t run .", false},
		{"pod __watch /run", false},
		{"storage-untar /run run", false},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			if got := hot(strings.Fields(tt.line)); got != tt.want {
				t.Errorf("hot = %v, want %v", got, tt.want)
			}
		})
	}
	if hot(nil) || hot([]string{"pod", "", "run"}) {
		t.Error("an empty command line, or an empty word, is hot")
	}
}

func TestEntryOutside(t *testing.T) {
	t.Parallel()
	if e := Entry(); e.Inside || e.Err != "" {
		t.Errorf("Entry = %+v: the test's own flags made the constructor join", e)
	}
}
