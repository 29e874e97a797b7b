namespace Delora.Core;

/// <summary>One tensor of a safetensors file, as its header describes it.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="StoredType">The element type as the file writes it: <c>F32</c>, <c>BF16</c>, <c>F8_E4M3</c>, …</param>
/// <param name="DType">The type of the tensor that reading gives; null where Delora can list but not read the type.</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="Begin">First byte, counted from the start of the file's data section.</param>
/// <param name="End">The byte after the last, counted likewise.</param>
public sealed record SafetensorsEntry(string Name, string StoredType, DType? DType, Shape Shape, long Begin, long End)
{
    /// <summary>Bytes of the elements in the file.</summary>
    public long ByteLength => End - Begin;
}
