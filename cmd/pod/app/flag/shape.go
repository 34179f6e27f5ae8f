package flag

import (
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// Shape registers the flags that limit a network, with prefix before their names.
func Shape(fs *pflag.FlagSet, prefix string, c *specgen.ShapeChange) {
	each(fs, prefix+"rate", "", "Limit the rate of the container's network: RATE[:in|:out], as 10mbit", c.ParseRate)
	parsed(fs, prefix+"delay", "", "Delay what the container sends, as 100ms", c.ParseDelay)
	parsed(fs, prefix+"loss", "", "Lose a part of what the container sends, as 1%", c.ParseLoss)
}
