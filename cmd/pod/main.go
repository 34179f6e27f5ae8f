// Command pod runs containers without root and without a daemon.
package main

import (
	"os"
	"time"

	"github.com/rootless-pod/pod/cmd/pod/app"
	"github.com/rootless-pod/pod/cmd/pod/app/whole"
	"github.com/rootless-pod/pod/pkg/rootless/nsenter"
)

func main() { os.Exit(app.Main(whole.Program(), nsenter.Entry(), os.Args, time.Now())) }
