// Half of the processor time of pod's start is the initialisation of packages which
// the commands that scripts call a thousand times never use. quick is a program without
// them, for these commands; what it cannot do after all it hands over to pod (HandOver
// in pkg/rootless). Where it is not installed, pod does everything itself.
#define _GNU_SOURCE
#include "enter.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#define ID_BYTES 8 // enough to tell builds apart

// quick_name is quick-ID, or empty when we have no id.
struct quick_name {
	char text[sizeof POD_QUICK_NAME + 2 * ID_BYTES];
};

// note_id looks for a build id among the notes of a segment.
static const unsigned char *note_id(const char *p, const char *end)
{
	while (p + sizeof(ElfW(Nhdr)) <= end) {
		const ElfW(Nhdr) *note = (const void *)p;
		const char *name = p + sizeof *note;
		const char *desc = name + ((note->n_namesz + 3) & ~3U);
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof ELF_NOTE_GNU &&
		    memcmp(name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0 && note->n_descsz >= ID_BYTES)
			return (const unsigned char *)desc;
		p = desc + ((note->n_descsz + 3) & ~3U);
	}
	return NULL;
}

// name_quick writes the name of the quick that was built with this program. The id is
// that of the linker, which makes it of all that goes into the program.
static int name_quick(struct dl_phdr_info *program, size_t size, void *into)
{
	(void)size;
	const unsigned char *id = NULL;
	for (int i = 0; i < program->dlpi_phnum && id == NULL; i++) {
		const ElfW(Phdr) *part = &program->dlpi_phdr[i];
		const char *start = (const char *)(program->dlpi_addr + part->p_vaddr);
		if (part->p_type == PT_NOTE)
			id = note_id(start, start + part->p_memsz);
	}
	char *text = ((struct quick_name *)into)->text;
	if (id != NULL) {
		text = stpcpy(text, POD_QUICK_NAME);
		for (int i = 0; i < ID_BYTES; i++)
			text += sprintf(text, "%02x", id[i]);
	}
	return 1; // the program comes first, its libraries behind it
}

void pod_quick(int argc, char **argv)
{
	char prefix[PATH_MAX];
	struct quick_name name = {""};
	if (!pod_hot(argc, argv))
		return;
	switch (pod_prefix(prefix)) {
	case POD_WHOLE:
		dl_iterate_phdr(name_quick, &name);
		if (name.text[0] != '\0')
			pod_become(prefix, name.text, argv);
		break;
	case POD_QUICK:
		prctl(PR_SET_NAME, "pod"); // what ps and pkill know it by
		break;
	case POD_ELSEWHERE:
		break;
	}
}
