namespace Delora.Nn;

/// <summary>
/// GPT-2's printable letters for the 256 bytes, of which byte-level vocabularies spell their tokens: a byte that is a printable Latin-1
/// character stands for itself, the others for U+0100 onwards, in order.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Letters = MakeLetters();

    private static readonly Dictionary<char, byte> Bytes =
        Enumerable.Range(0, 256).ToDictionary(value => Letters[value], value => (byte)value);

    /// <summary>The letter of a byte.</summary>
    public static char Letter(byte value) => Letters[value];

    /// <summary>Bytes in letters.</summary>
    public static string Spell(ReadOnlySpan<byte> bytes) => string.Create(bytes.Length, bytes, static (letters, bytes) =>
    {
        for (int i = 0; i < letters.Length; i++) letters[i] = Letters[bytes[i]];
    });

    /// <summary>The bytes that letters stand for; null where a character is no such letter.</summary>
    public static byte[]? Read(string letters)
    {
        byte[] bytes = new byte[letters.Length];
        for (int i = 0; i < bytes.Length; i++)
            if (!Bytes.TryGetValue(letters[i], out bytes[i]))
                return null;
        return bytes;
    }

    private static char[] MakeLetters()
    {
        char[] letters = new char[256];
        char other = '\u0100';
        for (int value = 0; value < 256; value++)
            letters[value] = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : other++;
        return letters;
    }
}
