package libpod

import (
	"time"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// InspectChecks is how the health of a container is checked.
type InspectChecks struct {
	StartupHealthCheck         *InspectStartup `json:"StartupHealthCheck,omitempty"`
	Healthcheck                *InspectCheck   `json:"Healthcheck,omitempty"`
	HealthcheckOnFailureAction string
	HealthLogDestination       string
	HealthcheckMaxLogCount     uint
	HealthcheckMaxLogSize      uint
}

// InspectCheck is a health check; durations are nanoseconds.
type InspectCheck struct {
	Test        []string
	StartPeriod time.Duration `json:"StartPeriod,omitempty"`
	Interval    time.Duration `json:"Interval,omitempty"`
	Timeout     time.Duration `json:"Timeout,omitempty"`
	Retries     uint          `json:"Retries,omitempty"`
}

// InspectStartup is a start-up check.
type InspectStartup struct {
	InspectCheck
	Successes uint `json:"Successes,omitempty"`
}

func inspectChecks(h *specgen.Health) InspectChecks {
	out := InspectChecks{
		HealthcheckOnFailureAction: h.Action(), HealthLogDestination: h.LogTo(),
		HealthcheckMaxLogCount: h.LogCount(), HealthcheckMaxLogSize: h.LogSize(),
	}
	if len(h.Test) == 0 {
		return out
	}
	out.Healthcheck = &InspectCheck{
		Test: h.Test, StartPeriod: h.Grace(), Interval: h.Every(), Timeout: h.Limit(), Retries: h.Tries(),
	}
	if s := h.Startup; s != nil {
		out.StartupHealthCheck = &InspectStartup{Successes: s.Successes, InspectCheck: InspectCheck{
			Test: s.Test, Interval: s.Every(), Timeout: s.Limit(), Retries: s.Retries,
		}}
	}
	return out
}
