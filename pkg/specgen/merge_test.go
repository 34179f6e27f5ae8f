package specgen

import (
	"reflect"
	"testing"
)

func TestMergeResources(t *testing.T) {
	limit := int64(5)
	tests := []struct {
		name           string
		old, over, now Resources
	}{
		{"nothing over", Resources{Memory: 1, CPUs: 2}, Resources{}, Resources{Memory: 1, CPUs: 2}},
		{"one field", Resources{Memory: 1, CPUShares: 2}, Resources{CPUShares: 3}, Resources{Memory: 1, CPUShares: 3}},
		{"cpus over a quota", Resources{CPUPeriod: 1, CPUQuota: 2}, Resources{CPUs: 1.5}, Resources{CPUs: 1.5}},
		{"quota over cpus", Resources{CPUs: 1}, Resources{CPUQuota: 2}, Resources{CPUQuota: 2}},
		{"memory drops the old swap", Resources{Memory: 1, MemorySwap: 2}, Resources{Memory: 5}, Resources{Memory: 5}},
		{"pointer", Resources{}, Resources{PidsLimit: &limit}, Resources{PidsLimit: &limit}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.old.Merge(tt.over); !reflect.DeepEqual(tt.old, tt.now) {
				t.Errorf("got %+v, want %+v", tt.old, tt.now)
			}
		})
	}
}
