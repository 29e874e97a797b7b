namespace Delora.Nn;

/// <summary>What an absent field of a family's <c>config.json</c> stands for.</summary>
/// <param name="Positions"><c>max_position_embeddings</c></param>
/// <param name="KeyValueHeads"><c>num_key_value_heads</c>; null: as many as query heads.</param>
/// <param name="HeadDim"><c>head_dim</c>; null: hidden_size / num_attention_heads.</param>
/// <param name="BosTokenId"><c>bos_token_id</c>; null: none.</param>
/// <param name="EosTokenId"><c>eos_token_id</c>; null: none.</param>
internal sealed record DecoderDefaults(int Positions, int? KeyValueHeads, int? HeadDim, int? BosTokenId, int? EosTokenId)
{
    /// <summary><c>tie_word_embeddings</c></summary>
    internal bool TieWordEmbeddings { get; init; }
}
