//! Which file a return address belongs to, and where its unwind information lies.
//!
//! The answer comes from glibc's `_dl_find_object`, which takes no lock and may be called from a signal handler
//! (glibc 2.35 and later). A module is one *stay* of a file in memory: what is loaded later at the same addresses is
//! another module, with its own rows in the ledger.

use core::{
    ffi::{CStr, c_char, c_void},
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use heaptide_ledger::{Loss, MODULE_WORDS, MODULES_LIMIT};

use crate::{global::Global, ledger_file, sys};

/// glibc's `struct dl_find_object`.
#[repr(C)]
pub struct FoundObject {
    flags: u64,
    map_start: usize,
    map_end: usize,
    link_map: *const LinkMap,
    eh_frame: *const u8,
    reserved: [u64; 7],
}

#[repr(C)]
struct LinkMap {
    addr: usize,
    name: *const c_char,
    dynamic: *const c_void,
    next: *const LinkMap,
    previous: *const LinkMap,
}

/// `_dl_find_object`.
pub type FindObject = unsafe extern "C" fn(*mut c_void, *mut FoundObject) -> i32;

const KEPT: usize = 1024;

/// One known module. All zero is a free place.
pub struct Module {
    /// What glibc calls the start and end of its mapping: which is all of it, or for a main program whose segments do
    /// not follow each other the code alone. The start is written last.
    start: AtomicU64,
    end: AtomicU64,
    /// Address of the lowest segment, which offsets count from.
    base: AtomicU64,
    eh_frame_hdr: AtomicU64,
    /// End of the segment that holds the unwind information.
    eh_end: AtomicU64,
    /// Id in the ledger; 0 once it was unloaded.
    id: AtomicU64,
    /// First word of the build id note's descriptor, in memory, and its value then.
    build_id: AtomicU64,
    build_id_word: AtomicU64,
    link_map: AtomicU64,
    /// 1 if it may be unloaded.
    leaves: AtomicU64,
}

/// The known modules. All zero is none.
pub struct Modules {
    find: AtomicU64,
    known: [Module; KEPT],
}

/// What unwinding needs of a module.
#[derive(Clone, Copy)]
pub struct Found {
    pub id: u64,
    pub base: u64,
    pub eh_frame_hdr: u64,
    pub eh_end: u64,
}

impl Modules {
    /// Sets the function that finds objects; null if the C library has none.
    pub fn use_finder(&self, find: *const c_void) {
        self.find.store(find as u64, Release);
    }

    fn find_object(&self, address: u64) -> Option<FoundObject> {
        let find = self.find.load(Relaxed);
        if find == 0 {
            return None;
        }
        // SAFETY: set from `dlsym("_dl_find_object")`.
        let find: FindObject = unsafe { core::mem::transmute(find as *const c_void) };
        let mut found = core::mem::MaybeUninit::<FoundObject>::uninit();
        // SAFETY: fills the structure when it returns 0.
        let status = unsafe { find(address as *mut c_void, found.as_mut_ptr()) };
        // SAFETY: filled.
        (status == 0).then(|| unsafe { found.assume_init() })
    }

    /// The module that holds `address` now, registered if it is new.
    pub fn find(&self, global: &Global, address: u64) -> Option<Found> {
        let object = self.find_object(address)?;
        match self.known(&object) {
            Some(module) => Some(module.found()),
            None => self.register(global, &object),
        }
    }

    fn known(&self, object: &FoundObject) -> Option<&Module> {
        let known = self.known.iter().map(|module| (module, module.start.load(Acquire)));
        let mut known = known.take_while(|(_, start)| *start != 0);
        let here = |(module, start): &(&Module, u64)| {
            *start == object.map_start as u64 && module.id.load(Relaxed) != 0 && module.is(object)
        };
        known.find(here).map(|(module, _)| module)
    }

    fn register(&self, global: &Global, object: &FoundObject) -> Option<Found> {
        let header = global.header();
        let start = object.map_start as u64;
        // What was here before is gone, unless another thread registers the same module just now.
        for module in self.known.iter().filter(|module| module.start.load(Acquire) == start) {
            if !module.is(object) {
                module.retire(global);
            }
        }
        let segments = Segments::read(object);
        let base = segments.base();
        let row = ledger_file::new_row(global, &header.modules, MODULE_WORDS, MODULES_LIMIT, Loss::Locations).ok()?;
        let (id, words) = row;
        let id_bytes = segments.build_id();
        let row = [
            segments.end(),
            path_text(global, object),
            ledger_file::text(global, id_bytes),
            header.clock_ms.load(Relaxed),
        ];
        for (offset, value) in row.into_iter().enumerate() {
            // SAFETY: the row has `MODULE_WORDS` words.
            unsafe { &*words.add(offset + 1) }.store(value, Relaxed);
        }
        // SAFETY: as above; the first word publishes the row.
        unsafe { &*words }.store(base, Release);

        let hdr = object.eh_frame as u64;
        let eh_end = segments.end_of_segment(hdr);
        for module in &self.known {
            // A place whose module was unloaded can be used again: its start is claimed first.
            let free = module.start.load(Acquire);
            if (free == 0 || module.id.load(Relaxed) == 0 && module.link_map.load(Relaxed) == 0)
                && module.start.compare_exchange(free, 1, Acquire, Relaxed).is_ok()
            {
                module.end.store(object.map_end as u64, Relaxed);
                module.eh_frame_hdr.store(hdr, Relaxed);
                module.eh_end.store(eh_end, Relaxed);
                module.build_id.store(if id_bytes.len() >= 8 { id_bytes.as_ptr() as u64 } else { 0 }, Relaxed);
                module.build_id_word.store(first_word(id_bytes), Relaxed);
                module.link_map.store(object.link_map as u64, Relaxed);
                module.leaves.store(global.dynamic.load(Relaxed), Relaxed);
                module.id.store(id, Relaxed);
                module.base.store(base, Relaxed);
                module.start.store(start, Release);
                break;
            }
        }
        // If two threads registered it, the first counts for both.
        Some(self.known(object).map_or(Found { id, base, eh_frame_hdr: hdr, eh_end }, Module::found))
    }

    /// Retires the modules that are not in memory any more, after a `dlclose`.
    pub fn sweep(&self, global: &Global) {
        for module in &self.known {
            let start = module.start.load(Acquire);
            if start == 0 {
                break;
            }
            if start == 1 || module.id.load(Relaxed) == 0 {
                continue;
            }
            let there =
                self.find_object(start).is_some_and(|object| object.map_start as u64 == start && module.stays(&object));
            if !there {
                module.retire(global);
            }
        }
    }

    /// Whether the module with this id may be unloaded.
    pub fn may_leave(&self, id: u64) -> bool {
        self.known
            .iter()
            .take_while(|module| module.start.load(Acquire) != 0)
            .find(|module| module.id.load(Relaxed) == id)
            .is_none_or(|module| module.leaves.load(Relaxed) != 0)
    }
}

impl Module {
    /// Whether what is mapped there now is this module still. Its own memory is mapped, as it holds code that is
    /// being returned to.
    fn is(&self, object: &FoundObject) -> bool {
        let build_id = self.build_id.load(Relaxed);
        // SAFETY: the note lies in the module's mapped first segment, whose place has not changed.
        let same = || unsafe { (build_id as *const u64).read_unaligned() } == self.build_id_word.load(Relaxed);
        self.has_place_of(object) && (build_id == 0 || same())
    }

    /// [`is`](Self::is) for a module that another thread may be unloading: its memory may go at any moment.
    fn stays(&self, object: &FoundObject) -> bool {
        let build_id = self.build_id.load(Relaxed);
        let same = || sys::holds(build_id, self.build_id_word.load(Relaxed) as u32);
        self.has_place_of(object) && (build_id == 0 || same())
    }

    fn has_place_of(&self, object: &FoundObject) -> bool {
        self.end.load(Relaxed) == object.map_end as u64 && self.link_map.load(Relaxed) == object.link_map as u64
    }

    fn found(&self) -> Found {
        Found {
            id: self.id.load(Relaxed),
            base: self.base.load(Relaxed),
            eh_frame_hdr: self.eh_frame_hdr.load(Relaxed),
            eh_end: self.eh_end.load(Relaxed),
        }
    }

    fn retire(&self, global: &Global) {
        let id = self.id.swap(0, Relaxed);
        if id == 0 {
            return;
        }
        let header = global.header();
        let words = ledger_file::row(global, &header.modules, MODULE_WORDS, id);
        // SAFETY: word 5 of a row of `MODULE_WORDS`.
        unsafe { &*words.add(5) }.store(header.clock_ms.load(Relaxed).max(1), Relaxed);
        global.return_addresses.forget(self.start.load(Relaxed)..self.end.load(Relaxed));
        self.link_map.store(0, Release);
    }
}

fn first_word(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |word| u64::from_ne_bytes(*word))
}

/// The module's path as text in the ledger.
fn path_text(global: &Global, object: &FoundObject) -> u64 {
    // SAFETY: a loaded module's link map and name live as long as it is loaded.
    let name = unsafe { CStr::from_ptr((*object.link_map).name) }.to_bytes();
    if name.is_empty() {
        return global.header().exe.load(Relaxed);
    }
    ledger_file::text(global, if name.starts_with(b"linux-vdso") { b"[vdso]" } else { name })
}

/// The program headers of a mapped module.
struct Segments {
    /// What glibc calls its mapping.
    mapping: (u64, u64),
    /// Load address minus the addresses in the headers.
    bias: u64,
    headers: &'static [libc::Elf64_Phdr],
}

impl Segments {
    fn read(object: &FoundObject) -> Segments {
        let mapping = (object.map_start as u64, object.map_end as u64);
        // SAFETY: a loaded module's link map lives as long as it is loaded.
        let link_map = unsafe { &*object.link_map };
        // SAFETY: as above, its name.
        let is_main = unsafe { *link_map.name } == 0;
        let (first, count) = if is_main {
            // SAFETY: reads what the kernel handed to the process.
            unsafe { (libc::getauxval(libc::AT_PHDR), libc::getauxval(libc::AT_PHNUM)) }
        } else {
            // SAFETY: the first page of a library is its first segment, which begins with the ELF header if it is there.
            let elf = unsafe { &*(mapping.0 as *const libc::Elf64_Ehdr) };
            let known = elf.e_ident[..4] == *b"\x7fELF" && elf.e_phoff + u64::from(elf.e_phnum) * 56 <= 4096;
            (mapping.0 + elf.e_phoff, if known { elf.e_phnum.into() } else { 0 })
        };
        let headers = if first == 0 || count > 64 {
            &[]
        } else {
            // SAFETY: program headers in a loaded segment.
            unsafe { core::slice::from_raw_parts(first as *const libc::Elf64_Phdr, count as usize) }
        };
        Segments { mapping, bias: link_map.addr as u64, headers }
    }

    /// Start and end of each loaded segment.
    fn loaded(&self) -> impl Iterator<Item = (u64, u64)> {
        let loaded = self.headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        loaded.map(|header| {
            let start = self.bias.wrapping_add(header.p_vaddr);
            (start, start.wrapping_add(header.p_filesz))
        })
    }

    /// Address of the lowest segment's page.
    fn base(&self) -> u64 {
        self.loaded().map(|(start, _)| start & !4095).min().unwrap_or(self.mapping.0)
    }

    /// End of the highest segment.
    fn end(&self) -> u64 {
        self.loaded().map(|(_, end)| end).max().unwrap_or(self.mapping.1).max(self.mapping.1)
    }

    fn end_of_segment(&self, address: u64) -> u64 {
        let holds = |(start, end): &(u64, u64)| (*start..*end).contains(&address);
        self.loaded().find(holds).map_or(address, |(_, end)| end)
    }

    /// The descriptor of the GNU build id note.
    fn build_id(&self) -> &'static [u8] {
        for header in self.headers.iter().filter(|header| header.p_type == libc::PT_NOTE) {
            let note = self.bias.wrapping_add(header.p_vaddr);
            if note < self.base() || note + header.p_memsz > self.end() {
                continue;
            }
            // SAFETY: a note segment lies in a loaded, readable segment.
            let mut rest = unsafe { core::slice::from_raw_parts(note as *const u8, header.p_memsz as usize) };
            while let Some((head, body)) = rest.split_first_chunk::<12>() {
                let field =
                    |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
                let (name, descriptor) = (field(0).next_multiple_of(4), field(4));
                let Some(found) = body.get(name..name + descriptor) else {
                    break;
                };
                if field(8) == 3 && body.starts_with(b"GNU\0") {
                    return found;
                }
                rest = body.get(name + descriptor.next_multiple_of(4)..).unwrap_or(&[]);
            }
        }
        &[]
    }
}
