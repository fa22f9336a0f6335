import { accepted, decline, excerpt } from '../../../core/index.ts'
import { accountOf, keepAccount } from '../accounts.ts'
import { assetIdCharactersMax, assetNameCharactersMax, assetOf, keepAsset } from '../assets.ts'
import { Fields } from '../fields.ts'
import type { Action } from './action.ts'

/** A new asset, which is the sender's. Declines `bad-mint`, `asset-exists`. */
export const mint: Action = ({ sender, data }, draft) => {
  const fields = new Fields('mint', data)
  const id = fields.text('asset_id', 1, assetIdCharactersMax)
  const name = fields.get('asset_name') === undefined ? id : fields.text('asset_name', 0, assetNameCharactersMax)
  if (fields.fault !== undefined) return fields.fault
  const there = assetOf(draft, id)
  if (there !== undefined) {
    const detail = `the asset ${excerpt(id)} is there already and belongs to ${excerpt(there.owner)}; choose another asset_id`
    return decline('asset-exists', detail)
  }
  keepAsset(draft, id, { name, owner: sender })
  // Whoever has assets has an account, so that one look shows whether a name is in use.
  keepAccount(draft, sender, accountOf(draft, sender))
  return accepted
}
