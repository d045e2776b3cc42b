package operate

import (
	"debug/elf"
	"testing"

	"tandem/e2e/harness"
)

// The program stays below 40 MB. A call that reaches methods by names that the linker does not know keeps every method
// of every library (third_party/kong): 16 MB.
func TestProgramIsSmall(t *testing.T) {
	t.Parallel()
	f, err := elf.Open(harness.Binary(t))
	if err != nil {
		t.Skipf("not an ELF file: %v", err)
	}
	defer f.Close()
	loaded := uint64(0) // without symbols and debug information, which make binary strips
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Type != elf.SHT_NOBITS {
			loaded += s.Size
		}
	}
	if loaded > 40_000_000 {
		t.Errorf("binary size = %.1f MB", float64(loaded)/1e6)
	}
	t.Logf("binary size = %.1f MB", float64(loaded)/1e6)
}
