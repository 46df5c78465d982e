"""What any stage allows whose submissions are programs: the machine that one gets, and the size of its image."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ProgramLimits(BaseModel):
    """Limits of a program; how long it may run, each track says in its own way.

    Attributes:
        second_pass: How many items are shown a second time, in other company under other names, to find programs that
            answer by chance or from memory; 0 switches it off.
        cpus: Processor seconds a second.
        memory_mib: Memory of all its processes together, with what they write, in MiB (2^20 bytes).
        processes: Processes and threads at once.
        output_mib: Size of what it writes.
        gpus: Whole GPUs.
        sandbox_exception: Why strangers' programs may run although the sandbox failed its hostile corpus; published
            with the scores, empty when nothing had to be excepted.
        max_archive_mib: Largest image archive that is opened.
        max_unpacked_mib: Largest sum of its layers, decompressed.
        layers: Most layers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    second_pass: int = Field(default=64, ge=0, le=100_000, strict=True)
    cpus: float = Field(default=2.0, gt=0, le=1024, allow_inf_nan=False)
    memory_mib: int = Field(default=4096, ge=512, le=4 << 20, strict=True)
    processes: int = Field(default=128, ge=16, le=65536, strict=True)
    output_mib: int = Field(default=64, ge=1, le=65536, strict=True)
    gpus: int = Field(default=0, ge=0, le=64, strict=True)
    sandbox_exception: str = Field(default="", max_length=300)
    max_archive_mib: int = Field(default=10240, ge=1, le=1 << 20, strict=True)
    max_unpacked_mib: int = Field(default=20480, ge=1, le=1 << 20, strict=True)
    layers: int = Field(default=127, ge=1, le=127, strict=True)

    @model_validator(mode="after")
    def _memory_holds_the_folders(self) -> Self:
        if self.memory_mib <= self.output_mib + 320:
            raise ValueError("memory_mib must exceed output_mib by more than 320, the sizes of /tmp and /dev/shm")
        return self
