// ILGPU.Runtime has a Device of its own.
global using Device = Delora.Core.Device;
