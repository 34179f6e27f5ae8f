// Nslookup asks the resolver of the place it runs in.
//
//	nslookup NAME|ADDRESS [SERVER[:PORT]]
package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fmt.Fprintln(os.Stderr, "usage: nslookup NAME|ADDRESS [SERVER[:PORT]]")
		os.Exit(2)
	}
	resolver := &net.Resolver{PreferGo: true}
	if len(os.Args) == 3 {
		server := os.Args[2]
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
		}
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := lookup(ctx, resolver, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "nslookup:", err)
		os.Exit(1)
	}
}

func lookup(ctx context.Context, resolver *net.Resolver, name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		names, err := resolver.LookupAddr(ctx, name)
		for _, n := range names {
			fmt.Printf("%s\tname = %s\n", name, n)
		}
		return err
	}
	addresses, err := resolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	if alias, err := resolver.LookupCNAME(ctx, name); err == nil && strings.TrimSuffix(alias, ".") != strings.TrimSuffix(name, ".") {
		fmt.Printf("%s\tcanonical name = %s\n", name, alias)
	}
	for _, a := range addresses {
		fmt.Printf("Name:\t%s\nAddress: %s\n", name, a)
	}
	return nil
}
