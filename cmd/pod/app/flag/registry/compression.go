package registry

import (
	"github.com/spf13/pflag"
	"go.podman.io/common/pkg/config"

	"github.com/rootless-pod/pod/pkg/image"
)

// Compression are the flags of pushes that say how layers are compressed.
type Compression struct {
	fs    *pflag.FlagSet
	level int
}

// Add registers --compression-format, --compression-level and --force-compression.
func (c *Compression) Add(fs *pflag.FlagSet, to *image.PushOptions) {
	c.fs = fs
	fs.StringVar(&to.CompressionFormat, "compression-format", "", "Compression format to use: gzip, zstd or zstd:chunked")
	fs.IntVar(&c.level, "compression-level", 0, "Compression level to use")
	fs.BoolVar(&to.ForceCompression, "force-compression", false, "Use the specified compression algorithm even if the destination contains a differently-compressed variant already")
}

// Fill takes what the flags do not say from containers.conf. A format that the user
// names is meant: what is compressed otherwise is compressed anew.
func (c *Compression) Fill(conf *config.Config, to *image.PushOptions) {
	if c.fs.Changed("compression-format") {
		if !c.fs.Changed("force-compression") {
			to.ForceCompression = true
		}
	} else if to.CompressionFormat = conf.Engine.CompressionFormat; to.CompressionFormat == "" && to.ForceCompression {
		to.CompressionFormat = "gzip"
	}
	if c.fs.Changed("compression-level") {
		to.CompressionLevel = &c.level
	} else {
		to.CompressionLevel = conf.Engine.CompressionLevel
	}
}
