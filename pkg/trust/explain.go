package trust

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.podman.io/image/v5/types"
)

// Scope finds the part of the policy that decides about an image, as the library
// does, and says it in the words of the file.
func (p *Policy) Scope(ref types.ImageReference) string {
	raw, scope := p.decisive(ref)
	reqs, err := requirements(raw)
	if err != nil || len(reqs) == 0 {
		return scope
	}
	kinds := make([]string, 0, len(reqs))
	for _, req := range reqs {
		kinds = append(kinds, req.Type)
	}
	return fmt.Sprintf("%s (%s)", scope, strings.Join(kinds, ", "))
}

func (p *Policy) decisive(ref types.ImageReference) (json.RawMessage, string) {
	transport := ref.Transport().Name()
	if scopes, ok := p.doc.Transports[transport]; ok {
		candidates := append([]string{ref.PolicyConfigurationIdentity()}, ref.PolicyConfigurationNamespaces()...)
		for _, name := range candidates {
			if raw, ok := scopes[name]; ok && name != "" {
				return raw, fmt.Sprintf("scope %q of transport %s", name, transport)
			}
		}
		if raw, ok := scopes[""]; ok {
			return raw, "the default of transport " + transport
		}
	}
	return p.doc.Default, "the default"
}
