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

func TestEntryOutside(t *testing.T) {
	t.Parallel()
	if e := Entry(); e.Inside || e.Err != "" {
		t.Errorf("Entry = %+v: the test's own flags made the constructor join", e)
	}
}
